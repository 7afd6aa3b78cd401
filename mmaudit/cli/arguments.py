"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with these options as keys; the command line wins.")]
ModelPath = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Function in your code that returns the model, as package.module:factory; or an .onnx or .skops file, or "
        "an https:// address.",
    ),
]
DataPath = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="An .npz, .parquet, .csv, .jsonl, .tar or .zarr file or folder, a folder of files with a table, or "
        "name:folder of a public set.",
    ),
]
Target = Annotated[str | None, typer.Option(help="Name of the target array or column.")]
TaskName = Annotated[
    str | None,
    typer.Option(help="classification[:k], multilabel[:k], regression[:unit] or retrieval:a+b->c[,bank=128]."),
]
Modalities = Annotated[
    list[str] | None,
    typer.Option("--modality", help="name=kind, once each; image, audio, text, tabular, series or embedding."),
]
Columns = Annotated[
    list[str] | None, typer.Option("--columns", help="Parquet: name=column,column for a modality of several columns.")
]
Root = Annotated[Path | None, typer.Option(help="Folder that file names in a table start from.")]
Whole = Annotated[bool, typer.Option("--whole", help="Read every value once before the first forward pass.")]
Ids = Annotated[str | None, typer.Option(help="Array or column of stable sample ids.")]
Group = Annotated[list[str] | None, typer.Option(help="Array or column to report by; may be repeated.")]
NoModality = Annotated[
    list[str] | None,
    typer.Option("--group", help="Array or column that is a group in the audit, and so no modality; may be repeated."),
]
Cluster = Annotated[str | None, typer.Option(help="Array or column: samples with equal values belong together.")]
Split = Annotated[str | None, typer.Option(help="Rows to take: `test`, or column=value.")]
Train = Annotated[Path | None, typer.Option(help="Training data, for the means that stand-ins use.")]
OutputScale = Annotated[
    str | None, typer.Option("--outputs", help="For a bare torch module or function: logits, probabilities or values.")
]
Weights = Annotated[Path | None, typer.Option(help="Weights to load into the module: .safetensors or .pt.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let --model be a .pt, .pt2 or TorchScript file, or a .skops file with types of its own, which can run "
        "any code.",
    ),
]

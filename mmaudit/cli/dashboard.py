"""The command that starts the dashboard: a local web server of its own, which reads run folders and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib import resources, util
from pathlib import Path
from typing import Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.place import is_local, place

HERE = ("127.0.0.1", "localhost", "::1")
# The palette of figures and report (mmaudit/figures/marks.py, reports/page.css), so that all three look alike.
THEME = {
    "light": {"primaryColor": "#0a66b0", "linkColor": "#0a5c9e", "backgroundColor": "#ffffff", "textColor": "#1b2330",
              "secondaryBackgroundColor": "#f0f2f5"},
    "dark": {"primaryColor": "#62b4f5", "linkColor": "#7cc0f8", "backgroundColor": "#12171e", "textColor": "#e7ebf1",
             "secondaryBackgroundColor": "#1d242d"},
}  # fmt: skip


@app.command()
def dashboard(
    runs_dir: Annotated[Path, typer.Argument(help="Folder with run folders, at any depth; or one run folder.")] = Path(
        "runs"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this computer's own let everybody in reach read.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Browse runs: verdict, findings, curves, subsets, samples, comparisons. Needs `mmaudit[dashboard]`."""
    runs_dir = place(runs_dir)
    if not is_local(runs_dir):
        raise BadInput(f"{runs_dir} is a store; the dashboard reads folders of this machine. Copy the runs to one.")
    if not runs_dir.is_dir():
        raise BadInput(f"{runs_dir} is not a folder; give one that holds runs, such as the folder named by --out.")
    if util.find_spec("streamlit") is None:
        raise MissingExtra("streamlit", "dashboard")
    require_free(host, port)
    if host not in HERE:
        typer.echo(
            f"mmaudit: warning: {host} can be reached from other computers. The dashboard has no password: everybody "
            "who can reach it reads all runs, with the samples they keep.",
            err=True,
        )
    arguments = command(script(), runs_dir, host, port, browser)
    if sys.platform == "win32":
        raise typer.Exit(subprocess.run(arguments, check=False).returncode)
    os.execv(arguments[0], arguments)


def script() -> Path:
    """The dashboard's entry script, in the installed package or the source checkout.

    Raises:
        BadInput: this installation has none.
    """
    try:
        found = Path(str(resources.files("mmaudit.app"))) / "main.py"
    except ModuleNotFoundError:
        found = Path(__file__).resolve().parents[2] / "app" / "main.py"
    if not found.is_file():
        raise BadInput(f"the dashboard's script {found} is missing; install mmaudit again.")
    return found


def require_free(host: str, port: int) -> None:
    """Raise `BadInput` where nothing can listen on this address and port: taken, reserved, or not this computer's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port that was used a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another with --port or --host."
        ) from None


def command(main: Path, runs_dir: Path, host: str, port: int, browser: bool) -> list[str]:
    """The server's command line: everything is a flag, so no configuration file is needed or written.

    No usage statistics, no file watcher, no tracebacks in the browser, websockets only for the names of this computer
    (another site's page cannot reach the server by pointing its own name at it), no uploads.
    """
    names = ("localhost", "127.0.0.1", "[::1]") if host in HERE else (host, socket.gethostname(), "localhost")
    flags = {
        "server.address": host,
        "server.port": port,
        "server.headless": not browser,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": 1,
        "server.enableStaticServing": False,
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "client.showErrorLinks": False,
        "logger.level": "warning",
    }
    flags |= {f"theme.{ground}.{name}": colour for ground, look in THEME.items() for name, colour in look.items()}
    said = [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in flags.items()]
    said += [f"--server.allowedHosts={name}" for name in names] if host != "0.0.0.0" else []
    # -P: the folder of the script holds modules of its own, which must not be found under these names.
    server = [sys.executable, "-P", str(main.with_name("serve.py"))]
    return [*server, "run", str(main), *said, "--", str(runs_dir.resolve())]

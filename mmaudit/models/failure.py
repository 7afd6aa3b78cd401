"""What a model's exceptions mean to whoever runs it."""

from __future__ import annotations

from mmaudit.errors import BadInput

# What libraries say of it in errors of a general class, lower case.
_SAID = (
    "out of memory",  # CUDA, MPS, XLA
    "can't allocate memory",  # torch on the CPU
    "not enough memory",  # torch on the CPU, Windows
    "failed to allocate memory",  # onnxruntime
    "alloc_failed",  # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED
)


def out_of_memory(error: BaseException) -> bool:
    """Whether the device had no memory left for a batch, so that a smaller one may do."""
    # By name and words: neither torch nor onnxruntime can be imported on this side of the border.
    if type(error).__name__ == "OutOfMemoryError":
        return True
    if not isinstance(error, RuntimeError) and type(error).__module__.partition(".")[0] != "onnxruntime":
        return False
    text = str(error).lower()
    return any(words in text for words in _SAID)


def raise_if_out_of_memory(error: Exception, rows: int) -> None:
    """Raise `BadInput` where the device ran out of memory on a single row; with more rows the caller halves them."""
    if rows <= 1 and out_of_memory(error):
        raise BadInput(
            "the device ran out of memory on a batch of one sample; free memory on it, or use a smaller model, "
            "lower precision (autocast) or another device."
        ) from error

"""Files: models in their smallest encoding, sealed files, and writing that is whole or not at all."""

from .atomic import atomic_path, atomic_write
from .modelfile import Contents, LayerInfo, ModelFileError, load_model, read_model, save_model
from .sealed import DecryptionError, is_sealed, read_sealed, reencrypt, rewrap, write_sealed

__all__ = [
    "Contents",
    "DecryptionError",
    "LayerInfo",
    "ModelFileError",
    "atomic_path",
    "atomic_write",
    "is_sealed",
    "load_model",
    "read_model",
    "read_sealed",
    "reencrypt",
    "rewrap",
    "save_model",
    "write_sealed",
]

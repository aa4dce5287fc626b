"""The tokenizers of the models: loading them, keeping them, tokenizing for clients."""

from .catalogue import Catalogue, CatalogueConfig, Loading, LoadingFull, LoadState

__all__ = ("Catalogue", "CatalogueConfig", "LoadState", "Loading", "LoadingFull")

"""The features that training takes if no setting names others."""

from training.config.settings import FitSettings

__all__ = ["FEATURES", "FEATURE_NAMES", "QUANTITIES"]

FEATURES = FitSettings().bundle_features
FEATURE_NAMES = FitSettings().feature_names
QUANTITIES = FitSettings().quantities

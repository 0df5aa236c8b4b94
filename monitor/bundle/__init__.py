"""The bundle: the folder that training writes and the monitor loads."""

from monitor.bundle.load import load
from monitor.bundle.manifest import Feature, GoldenFile, Manifest, compute_bundle_id
from monitor.bundle.save import save
from monitor.bundle.verified import Bundle
from monitor.core.errors import BundleError

__all__ = ["Bundle", "BundleError", "Feature", "GoldenFile", "Manifest", "compute_bundle_id", "load", "save"]

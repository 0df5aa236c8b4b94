"""Devices and gateways as functions: what each publishes when it measures, according to its documentation."""

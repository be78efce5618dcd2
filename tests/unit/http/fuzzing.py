"""Fuzzing on machines that are shared: slow draws and deadlines say nothing there."""

from hypothesis import HealthCheck, settings

fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

"""Settings of the property tests: no time limit for one example, since a busy machine must not fail a run."""

from hypothesis import HealthCheck, settings

settings.register_profile("streamkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamkit")

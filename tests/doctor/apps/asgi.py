"""The probe as an ASGI app, served."""

from streamkit.doctor.probe_app import ASGIProbe
from tests.rig.sidedoor import open_side_door

app = ASGIProbe()

open_side_door()

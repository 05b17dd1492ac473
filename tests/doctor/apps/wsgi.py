"""The probe as a WSGI app, served."""

from streamkit.doctor.probe_app import WSGIProbe
from tests.rig.sidedoor import open_side_door

app = WSGIProbe()

open_side_door()

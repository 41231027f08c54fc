"""The OpenVINO engine.

OpenVINO reports over the network, from a process that it starts for that, that it was imported, unless the package with which it does so is
missing. In a process that uses this engine it is: nothing is sent that nobody asked for.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

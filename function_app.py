"""The one FunctionApp: a line per blueprint."""

import azure.functions as func

from functions import operations
from shared.telemetry import quieten

quieten()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(operations.bp)

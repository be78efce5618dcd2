"""The one FunctionApp: a line per blueprint."""

import azure.functions as func

from functions import accounts, api_keys, bridges, directory, operations
from shared.telemetry import quieten

quieten()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(accounts.bp)
app.register_functions(directory.bp)
app.register_functions(bridges.bp)
app.register_functions(api_keys.bp)
app.register_functions(operations.bp)

"""Microsoft's worker library (`azure-functions-runtime`), driven in process.

Decorators, blueprints, annotations and converters are therefore the ones that run in Azure. The
library's protobuf messages are stand-ins here: indexing builds them, invocations don't need any.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime
from azure_functions_runtime import handle_event, native_invocation
from azure_functions_runtime.bindings.datumdef import Datum

# One binding as the decorators declare it: type, name, route, queueName and so on.
type Binding = dict[str, Any]


def datum(value: object, kind: str) -> Datum:
    """The library's own value type; `kind` is the name that its field has in protobuf."""
    return Datum(value, kind)  # type: ignore[no-untyped-call]


class IndexingError(Exception):
    """The app can't be served: it didn't import, or a function in it was refused."""


class _Message:
    """A stand-in for any protobuf message: the arguments of the constructor are its fields."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class _Protos:
    """A stand-in for the protobuf module: message classes on demand, and the parts that indexing
    reads."""

    def __init__(self) -> None:
        self.StatusResult = type(
            "StatusResult", (_Message,), {"Failure": 0, "Success": 1, "Cancelled": 2}
        )
        self.BindingInfo = type(
            "BindingInfo",
            (_Message,),
            {"in": 0, "out": 1, "inout": 2, "undefined": 0, "string": 1, "binary": 2},
        )

    def __getattr__(self, name: str) -> type[_Message]:
        if name.startswith("__"):
            raise AttributeError(name)
        message = type(name, (_Message,), {})
        setattr(self, name, message)
        return message


@dataclass(frozen=True, slots=True)
class Function:
    """One indexed function: its trigger's binding, and the JSON texts of all its bindings."""

    name: str
    function_id: str
    trigger: Binding
    raw_bindings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The result of an invocation.

    `value` is the `$return` datum, or None; a failure is in the log already.
    """

    ok: bool
    value: Datum | None


class Worker:
    """The library with one app in it.

    A process can index once: another app, or a changed one, needs a new process.
    """

    def __init__(self, timeout_seconds: float | None = None) -> None:
        self._timeout_seconds = timeout_seconds

    async def index(self, app_dir: Path) -> list[Function]:
        """Import `function_app.py` of app_dir and return its functions.

        Raises IndexingError where Azure would show no function at all: a missing app, an import
        that fails, an annotation that the worker refuses, an app without functions.
        """
        sys.path.insert(0, str(app_dir))
        runtime.start_threadpool_executor()
        init = SimpleNamespace(capabilities={}, function_app_directory=str(app_dir))
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init),
            properties={"host": "127.0.0.1", "protos": _Protos()},
        )
        response = await handle_event.worker_init_request(request)  # type: ignore[no-untyped-call]
        if response.result.status != 1:
            raise IndexingError(
                f"{response.result.exception.message}\n{response.result.exception.stack_trace}"
            )
        list_functions = handle_event.functions_metadata_request
        listed = await list_functions(request)  # type: ignore[no-untyped-call]
        metadata = listed.function_metadata_results
        if not metadata:
            raise IndexingError(f"no functions found in {app_dir}")
        return [_function(item) for item in metadata]

    async def invoke(
        self, function: Function, data: Datum, metadata: Mapping[str, Datum], trace_parent: str = ""
    ) -> InvocationResult:
        """Run the function once; never raises for an error of the function.

        A run over functionTimeout counts as failed. An async function is canceled then; a sync one
        can't be: its thread continues (Azure kills the worker).
        """
        call = native_invocation.invocation_request_native(  # type: ignore[no-untyped-call]
            str(uuid.uuid4()),
            function.function_id,
            [(function.trigger["name"], data)],
            dict(metadata),
            trace_parent=trace_parent or f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00",
        )
        try:
            ok, value, _, _, _ = await asyncio.wait_for(call, self._timeout_seconds)
        except TimeoutError:
            runtime.logging.logger.error(
                "function %s ran over the timeout of %s s", function.name, self._timeout_seconds
            )
            return InvocationResult(ok=False, value=None)
        return InvocationResult(ok=ok, value=value)

    def close(self) -> None:
        """Wait for the sync functions that still run."""
        runtime.stop_threadpool_executor()


def _function(item: Any) -> Function:
    bindings = [json.loads(raw) for raw in item.raw_bindings]
    triggers = [binding for binding in bindings if binding["type"].endswith("Trigger")]
    if len(triggers) != 1:
        raise IndexingError(f"function {item.name} has {len(triggers)} triggers")
    return Function(item.name, item.function_id, triggers[0], tuple(item.raw_bindings))

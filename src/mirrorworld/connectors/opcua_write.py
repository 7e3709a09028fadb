"""Writing to a server: one value, or one method call, never twice."""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

from asyncua import ua
from asyncua.ua.status_codes import get_name_and_doc

from mirrorworld.connectors.opcua_failures import status_name
from mirrorworld.connectors.opcua_model import Call, Item
from mirrorworld.connectors.opcua_session import Session
from mirrorworld.connectors.opcua_text import scalar_result
from mirrorworld.connectors.opcua_values import to_variant
from mirrorworld.world.changes import Command, CommandState

TIMEOUT_S_MAX = 60.0


async def write(session: Session, item: Item, command: Command) -> Command:
    """Writes a desired value; SENT when the server took it. Its report confirms it later."""
    place = f"{command.twin}.{command.point}"
    builtin = item.builtin
    try:
        if builtin in (24, 26, 27, 28):
            # The variable takes several types: what it holds now is what it expects.
            (now,) = await session.read([(item.node, ua.AttributeIds.Value)])
            if now.Value is not None and now.Value.VariantType is not None:
                builtin = int(now.Value.VariantType.value) or builtin
        variant = to_variant(command.value, builtin, item.is_array, place)
    except ValueError as error:
        return _answer(command, CommandState.REFUSED, str(error))
    except (ua.UaError, OSError, TimeoutError) as error:
        return _failed(command, place, error)
    request = ua.WriteRequest()
    request.Parameters.NodesToWrite = [
        # Without time stamps: many servers refuse a write that brings its own.
        ua.WriteValue(
            NodeId=item.node, AttributeId=ua.AttributeIds.Value, Value=ua.DataValue(variant)
        )
    ]
    try:
        answer = await session.service(request, ua.WriteResponse, _timeout_s(command))
        (status,) = answer.Results
    except (ua.UaError, OSError, TimeoutError, ValueError) as error:
        return _failed(command, place, error)
    if status.value >> 30:
        return _answer(command, CommandState.REFUSED, _why(place, status.value))
    return _answer(command, CommandState.SENT, "the server took it")


async def call(session: Session, what: Call, command: Command) -> Command:
    """Calls a method; CONFIRMED with its outputs when it has returned well."""
    place = f"{command.twin}.{command.operation}"
    given = dict(command.arguments)
    variants: list[ua.Variant] = []
    try:
        for name, builtin, is_array in what.inputs:
            if name not in given:
                raise ValueError(f"{place}: the argument '{name}' is missing")
            variants.append(to_variant(given.pop(name), builtin, is_array, f"{place}({name})"))
        if given:
            takes = ", ".join(n for n, _, _ in what.inputs) or "none"
            raise ValueError(f"{place}: takes no argument '{next(iter(given))}'; it takes {takes}")
    except ValueError as error:
        return _answer(command, CommandState.REFUSED, str(error))
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [
        ua.CallMethodRequest(ObjectId=what.object, MethodId=what.method, InputArguments=variants)
    ]
    try:
        answer = await session.service(request, ua.CallResponse, _timeout_s(command))
        (result,) = answer.Results
    except (ua.UaError, OSError, TimeoutError, ValueError) as error:
        return _failed(command, place, error)
    if result.StatusCode.value >> 30:
        detail = _why(place, result.StatusCode.value)
        for (name, _, _), status in zip(
            what.inputs, result.InputArgumentResults or (), strict=False
        ):
            if status.value >> 30:
                detail += f"; argument '{name}': {status_name(status.value)}"
        return _answer(command, CommandState.REFUSED, detail)
    outputs = result.OutputArguments or ()
    names = [*what.outputs, *(f"output{i}" for i in range(len(what.outputs), len(outputs)))]
    results = tuple(
        (name, scalar_result(output.Value)) for name, output in zip(names, outputs, strict=False)
    )
    done = _answer(command, CommandState.CONFIRMED, "the method returned")
    return replace(done, results=results)


def _timeout_s(command: Command) -> float:
    return min(max(command.timeout_ms / 1000, 0.1), TIMEOUT_S_MAX)


def _why(place: str, code: int) -> str:
    _, meaning = get_name_and_doc(code & 0xFFFF_0000)
    return f"{place}: the server refused ({status_name(code)}): {meaning}"


def _failed(command: Command, place: str, error: Exception) -> Command:
    if isinstance(error, ua.UaStatusCodeError):
        return _answer(command, CommandState.REFUSED, _why(place, error.code))
    if isinstance(error, TimeoutError):
        why = "no answer in time; whether the server acted on it is not known"
    else:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _answer(command, CommandState.FAILED, f"{place}: {why}")


def _answer(command: Command, state: CommandState, detail: str) -> Command:
    return replace(command, state=state, detail=detail)

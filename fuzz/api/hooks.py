"""Hooks for schemathesis: rules that the OpenAPI document cannot hold, and further checks."""

import re

import schemathesis

REQUEST_ID = re.compile("req_[0-9a-f]{32}")

# Of two random coordinates no point comes: one is on the curve with a chance of 2^-254.
POINT = {
    "x": "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f23",
    "y": "0x15abce77337ece01543cf437c2274a9340a81e818c6463df48f336c583407f25",
}
EXAMPLE = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
ADDRESS = re.compile("(0[xX])?[0-9a-fA-F]{40}")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Right cases are made right where no schema can say how; wrong ones stay as they are."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        case.body = whole(case.body)
        if isinstance(case.body.get("ttl_seconds"), int):
            # The ceiling is the configuration's.
            case.body["ttl_seconds"] = min(case.body["ttl_seconds"], 3600)
        if isinstance(case.body.get("reason"), str):
            # A pattern has no classes of Unicode: of these characters some are visible and some are not.
            case.body["reason"] = case.body["reason"].encode("ascii", "ignore").decode() or "a reason"
        if isinstance(case.body.get("policy"), dict) and case.body["policy"].get("networks"):
            case.body["policy"]["networks"] = ["127.0.0.0/8"]
        registration = case.body if case.path == "/v1/sign/registration" else None
        if registration is not None:
            # The keys here have no binding, so the registry must be named, with what belongs to it.
            for name, value in (
                ("registry", "bls_apk_registry"), ("chain_id", 31337), ("verifying_contract", EXAMPLE)
            ):
                if registration.get(name) is None:
                    registration[name] = value
        for binding in (case.body.get("binding"), registration):
            if isinstance(binding, dict):
                # Members of one registry alone: the document has one schema for both.
                of_sets = binding.get("registry") == "key_registrar"
                for name, value in (("avs", EXAMPLE), ("operator_set_id", 7)):
                    given = binding.pop(name, None)
                    if of_sets:
                        binding[name] = value if given is None else given
        period = case.body.get("every_days")
        if period:
            # Both are shorter than the period.
            for name, most in (("jitter_hours", period), ("announce_days", period - 1)):
                if case.body.get(name):
                    case.body[name] = min(case.body[name], most)
        if case.body.get("reference_timestamp") is not None:
            # The other way to choose a version.
            case.body.pop("version", None)
        if "hash" in case.body:
            point = case.body["hash"]
            upper = isinstance(point, dict) and "X" in point
            text = POINT["x"] + POINT["y"][2:]
            case.body["hash"] = {name.upper(): value for name, value in POINT.items()} if upper else (
                text if isinstance(point, str) else POINT)
    if case.path_parameters and "eoa" in case.path_parameters:
        case.path_parameters["eoa"] = str(case.path_parameters["eoa"]).lower()
    if case.query and isinstance(case.query.get("eoa"), str):
        case.query["eoa"] = case.query["eoa"].lower()
    if case.path == "/v1/audit/proof":
        # Either seq, or from and to: a query has no schema for that.
        case.query = {"seq": 0} if "seq" in (case.query or {}) else {"from": 1, "to": 2}


def whole(value):
    """JSON Schema takes 7.0 for an integer, the contract has no floats; random letter case has a wrong EIP-55 checksum."""
    if isinstance(value, str) and ADDRESS.fullmatch(value):
        return value.lower()
    if isinstance(value, dict):
        return {name: whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.check
def every_answer_names_its_request(context, response, case):
    """Rules of docs/reference/http-api.md: an id in every answer, a JSON object in every body, one flat form for errors."""
    named = response.headers.get("x-request-id", [""])[0]
    assert REQUEST_ID.fullmatch(named), f"no request id: {response.headers}"
    if case.path == "/docs" and response.status_code == 200:
        return
    if case.method.upper() == "HEAD":
        return
    body = response.json()
    assert isinstance(body, dict), "a body that is no object"
    if response.status_code < 400:
        assert "error" not in body
    else:
        assert body["request_id"] == named and body["error"] and body["code"], body
        assert (response.status_code in (429, 503)) <= ("retry_after_ms" in body), body

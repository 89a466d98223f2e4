"""Start ministack 1.5.33 on this machine's loopback address, with what it lacks made good.

Five things, each to be dropped when a newer ministack makes it needless:

1. A SAM HttpApi becomes an AWS::ApiGatewayV2::Api with an OpenAPI `Body`, which ministack ignores: the API has no
   routes and no authorizer. They are made from the body here.
2. A warm invocation of a `provided.*` function takes about 100 ms (Nagle's algorithm against delayed acknowledgements;
   a wait for log lines that may never come). Both are switched off.
3. CloudFormation gives an event source mapping the text of a number parameter as its maximum concurrency, which ends
   its polling with a type error. It is made a number.
4. With AUTH=true each function may do what its role allows and no more, but two conditions know no value: what
   KMS encrypts for (the encryption context) and which rows DynamoDB is asked for (the leading keys). They get one.
   And each call costs half as much again: signatures go unchecked, and roles are remembered for a second.
5. What functions print is kept in memory only. It is written to FUNCTION_LOGS/<function>.log as well.

Everything else is set by environment variables; `stack up` sets them.
"""

import json
import os
import time

import ministack.core.iam_evaluator as iam_evaluator
import ministack.core.lambda_runtime as lambda_runtime
import ministack.services.apigateway as apigateway
import ministack.services.cloudformation.provisioners as provisioners

NAMES = {"CUSTOM": "REQUEST", "JWT": "JWT"}


def answer(response):
    """The JSON body of a (status, headers, body) response of ministack."""
    return json.loads(response[2])


def make_authorizers(api, body):
    """Make the authorizers of an OpenAPI body; name -> (type, ID)."""
    made = {}
    schemes = (body.get("components") or {}).get("securitySchemes") or {}
    for name, scheme in schemes.items():
        authorizer = scheme.get("x-amazon-apigateway-authorizer")
        if not authorizer:
            continue
        sources = authorizer.get("identitySource") or []
        if isinstance(sources, str):
            sources = [source.strip() for source in sources.split(",")]
        kind = "JWT" if authorizer["type"].lower() == "jwt" else "CUSTOM"
        created = answer(apigateway._create_authorizer(api, {
            "name": name,
            "authorizerType": NAMES[kind],
            "identitySource": sources,
            "authorizerUri": authorizer.get("authorizerUri", ""),
            "jwtConfiguration": authorizer.get("jwtConfiguration") or {},
        }))
        made[name] = (kind, created["authorizerId"])
    return made


def make_route(api, path, method, operation, security, authorizers):
    """Make one route with its integration; an operation without an integration (CORS) has none."""
    integration = isinstance(operation, dict) and operation.get("x-amazon-apigateway-integration")
    if not integration:
        return
    made = answer(apigateway._create_integration(api, {
        "integrationType": "AWS_PROXY",
        "integrationUri": integration["uri"],
        "payloadFormatVersion": str(integration.get("payloadFormatVersion", "2.0")),
        "timeoutInMillis": integration.get("timeoutInMillis", 30000),
    }))
    verb = "ANY" if "any" in method else method.upper()
    route = {
        "routeKey": "$default" if path == "/$default" else f"{verb} {path}",
        "target": f"integrations/{made['integrationId']}",
    }
    for requirement in operation.get("security", security):
        for name, scopes in requirement.items():
            # A name that is no authorizer of this API must not leave the route open.
            route["authorizationType"], route["authorizerId"] = authorizers[name]
            if scopes:
                route["authorizationScopes"] = scopes
    apigateway._create_route(api, route)


def import_body(api, body):
    """Replace an API's routes, integrations and authorizers by those of an OpenAPI body."""
    for table in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
        table[api] = {}
    authorizers = make_authorizers(api, body)
    for path, methods in (body.get("paths") or {}).items():
        for method, operation in methods.items():
            make_route(api, path, method, operation, body.get("security") or [], authorizers)


def handlers_of(kind):
    """CloudFormation's own handlers of a resource type: {"create": …, "update": …, "delete": …}."""
    return next(value[kind] for value in vars(provisioners).values()
                if isinstance(value, dict) and isinstance(value.get(kind), dict) and "create" in value[kind])


def mend_http_api():
    """Make CloudFormation's creation and update of an HTTP API read the body."""
    handlers = handlers_of("AWS::ApiGatewayV2::Api")
    create, update = handlers["create"], handlers["update"]

    def create_with_body(logical_id, properties, *rest):
        made = create(logical_id, properties, *rest)
        if properties.get("Body"):
            import_body(made[0], properties["Body"])
        return made

    def update_with_body(physical_id, old, new, *rest):
        made = update(physical_id, old, new, *rest)
        if new.get("Body"):
            import_body(made[0] if isinstance(made, tuple) else made, new["Body"])
        return made

    handlers["create"], handlers["update"] = create_with_body, update_with_body


def mend_event_source_mapping():
    """Make the maximum concurrency of an event source mapping a number."""
    handlers = handlers_of("AWS::Lambda::EventSourceMapping")
    create, update = handlers["create"], handlers["update"]

    def numbered(properties):
        scaling = properties.get("ScalingConfig") or {}
        if "MaximumConcurrency" not in scaling:
            return properties
        return properties | {"ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}

    handlers["create"] = lambda logical_id, properties, *rest: create(logical_id, numbered(properties), *rest)
    handlers["update"] = lambda physical_id, old, new, *rest: update(physical_id, numbered(old), numbered(new), *rest)


def mend_invoke_latency():
    """Let an invocation's answer leave at once, and wait for log lines two milliseconds at most."""
    build = lambda_runtime.ProvidedWorker._build_handler_class

    def build_without_nagle(self, *args):
        handler = build(self, *args)
        handler.disable_nagle_algorithm = True
        handler.wbufsize = -1
        return handler

    lambda_runtime.ProvidedWorker._build_handler_class = build_without_nagle
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.002, 0.001, 0.25)


def kms_conditions(request):
    """The condition values of a request to KMS."""
    context = request.get("EncryptionContext") or {}
    values = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    return values | {"kms:EncryptionContextKeys": list(context)} if context else {}


def dynamodb_conditions(request):
    """The condition values of a request to DynamoDB for one item, whose partition key is always called `pk`."""
    item = request.get("Key") or request.get("Item") or {}
    return {"dynamodb:LeadingKeys": [item["pk"]["S"]]} if "pk" in item else {}


CONDITIONS = {"kms": kms_conditions, "dynamodb": dynamodb_conditions}


def mend_roles():
    """Let a role's conditions see what the request says, and spend little time on who it is."""
    enforce, resolve = iam_evaluator.enforce, iam_evaluator.resolve_principal
    remembered = {}

    def enforce_with_conditions(access_key_id, action, service, region, resource_arn="*", service_context=None):
        # AWS has no permission of a batch's own.
        action = {"sqs:SendMessageBatch": "sqs:SendMessage"}.get(action, action)
        request = iam_evaluator._signed_request.get()
        if request is not None and service in CONDITIONS:
            service_context = (service_context or {}) | CONDITIONS[service](json.loads(request.body or b"{}"))
        return enforce(access_key_id, action, service, region, resource_arn, service_context)

    def resolve_seldom(access_key_id, account_id, credential=None):
        second = int(time.monotonic())
        known = remembered.get((access_key_id, account_id))
        if known is None or known[0] != second:
            known = remembered[access_key_id, account_id] = second, resolve(access_key_id, account_id, credential)
        return known[1]

    iam_evaluator.enforce, iam_evaluator.resolve_principal = enforce_with_conditions, resolve_seldom
    iam_evaluator.authenticate = lambda *_: None


class Tee:
    """A function's output, copied to a file while ministack reads it."""

    def __init__(self, stream, path):
        self.stream, self.copy = stream, open(path, "ab", buffering=0)

    def readline(self):
        line = self.stream.readline()
        self.copy.write(line)
        return line

    def close(self):
        self.stream.close()
        self.copy.close()


def keep_function_logs(folder):
    """Write what each function prints to a file of its own."""
    pump = lambda_runtime.ProvidedWorker._pump_output

    def pump_and_copy(self, stream, lines):
        pump(self, Tee(stream, os.path.join(folder, f"{self.func_name}.log")), lines)

    lambda_runtime.ProvidedWorker._pump_output = pump_and_copy


if __name__ == "__main__":
    mend_http_api()
    mend_event_source_mapping()
    mend_invoke_latency()
    mend_roles()
    keep_function_logs(os.environ["FUNCTION_LOGS"])

    from ministack.app import main

    main()

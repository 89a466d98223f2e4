"""Says of each message on standard input whether it verifies: by the official library under a secret, by `cryptography` under a public key."""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def by_the_library(secret, message):
    headers = {
        "webhook-id": message["id"],
        "webhook-timestamp": message["timestamp"],
        "webhook-signature": message["signatures"],
    }
    try:
        Webhook(secret).verify(message["body"], headers, json_parse=False)
        return True
    except WebhookVerificationError:
        return False


def by_public_key(key, message):
    """The library knows no `v1a`."""
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    content = f"{message['id']}.{message['timestamp']}.{message['body']}".encode()
    for signature in message["signatures"].split(" "):
        version, _, text = signature.partition(",")
        if version == "v1a":
            try:
                public_key.verify(base64.b64decode(text), content)
                return True
            except InvalidSignature:
                pass
    return False


def verifies(message):
    key = message["key"]
    return (by_public_key if key.startswith("whpk_") else by_the_library)(key, message)


print(json.dumps([verifies(message) for message in json.load(sys.stdin)]))

"""Sign a token as the local user pool does: the key's file, the header and the claims are given, and the token is printed."""

import base64
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


if __name__ == "__main__":
    path, header, claims = sys.argv[1:]
    with open(path, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), password=None)
    signed = part(header.encode()) + b"." + part(claims.encode())
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    print((signed + b"." + part(signature)).decode())

// Says of each message on standard input whether it verifies: by the official library under a secret, by node:crypto under a public key.

const crypto = require("node:crypto");
const fs = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

function byTheLibrary(secret, message) {
  const headers = {
    "webhook-id": message.id,
    "webhook-timestamp": message.timestamp,
    "webhook-signature": message.signatures,
  };
  try {
    new Webhook(secret).verify(message.body, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

// The library knows no `v1a`.
function byPublicKey(text, message) {
  const x = Buffer.from(text.slice("whpk_".length), "base64").toString("base64url");
  const key = crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const content = Buffer.from(`${message.id}.${message.timestamp}.${message.body}`);
  return message.signatures
    .split(" ")
    .map((signature) => signature.split(","))
    .filter(([version]) => version === "v1a")
    .some(([, signature]) => crypto.verify(null, content, key, Buffer.from(signature, "base64")));
}

const messages = JSON.parse(fs.readFileSync(0, "utf8"));
const verdicts = messages.map((message) =>
  message.key.startsWith("whpk_") ? byPublicKey(message.key, message) : byTheLibrary(message.key, message),
);
console.log(JSON.stringify(verdicts));

// Speaks for the official Stripe SDK in test_stripe_simulator.py: an array of calls a line in, which are
// made at once; an array of what came of them out.
//   {"url", "key", "retries", "call": "invoices.create", "arguments": […], "all": true for every page}
//   → {"value"} or {"error": {"type", "status", "code", "param", "message"}}
const Stripe = require("stripe");
const readline = require("readline");

const clients = new Map();

function client({ url, key, retries }) {
  const name = `${url} ${key} ${retries}`;
  if (!clients.has(name)) {
    const { hostname, port } = new URL(url);
    clients.set(name, new Stripe(key, { host: hostname, port, protocol: "http", telemetry: false, maxNetworkRetries: retries }));
  }
  return clients.get(name);
}

async function make(request) {
  const [resource, method] = request.call.split(".");
  try {
    const made = client(request)[resource][method](...request.arguments);
    if (!request.all) return { value: await made };
    const value = [];
    for await (const item of made) value.push(item);
    return { value };
  } catch (error) {
    const { type = "none of Stripe's", statusCode: status, code, param, message } = error;
    return { error: { type, status, code, param, message } };
  }
}

readline
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const answers = await Promise.all(JSON.parse(line).map(make));
    process.stdout.write(JSON.stringify(answers) + "\n");
  })
  .on("close", () => process.exit()); // the SDK keeps connections

// Speaks for the official CloudEvents SDK in test_ingest_sdk.py: a JSON request a line in, one out.
//   {"make": members}                    → {"http": {binary, structured}, "kafka": {binary, structured}}
//   {"read": {"headers", "body"}}        → {"event": attributes} or {"error": text}
const { CloudEvent, HTTP, Kafka } = require("cloudevents");
const readline = require("readline");

const plain = (message) => ({
  headers: message.headers,
  body: typeof message.body === "string" || message.body == null ? message.body : JSON.stringify(message.body),
});
const record = (message) => ({
  key: message.key ?? null,
  headers: message.headers,
  value: typeof message.value === "string" ? message.value : JSON.stringify(message.value),
});

function make(members) {
  const event = new CloudEvent(members);
  return {
    http: { binary: plain(HTTP.binary(event)), structured: plain(HTTP.structured(event)) },
    kafka: { binary: record(Kafka.binary(event)), structured: record(Kafka.structured(event)) },
  };
}

function read(message) {
  const found = HTTP.toEvent(message);
  const events = Array.isArray(found) ? found : [found];
  events.forEach((event) => event.validate());
  return { event: JSON.parse(JSON.stringify(Array.isArray(found) ? events : events[0])) };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = request.make ? make(request.make) : read(request.read);
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});

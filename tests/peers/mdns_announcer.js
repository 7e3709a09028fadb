// Announces services by multicast DNS on the loopback interface, as devices of a plant do: a JSON
// list of {type, name, port, addresses, txt, host} comes as the argument. `{"count": n}` in one
// announces it n times under numbered names. Ends when its standard input does.

const mdns = require("multicast-dns")({ interface: "127.0.0.1", bind: "0.0.0.0", loopback: true });

const services = JSON.parse(process.argv[2]).flatMap((service) =>
  service.count
    ? Array.from({ length: service.count }, (_, i) => ({ ...service, name: `${service.name} ${i}` }))
    : [service],
);

const instance = (s) => `${s.name}.${s.type}.local`;
const target = (s) => s.host ?? "device.local";
const pointer = (s, ttl = 4500) => ({ name: `${s.type}.local`, type: "PTR", ttl, data: instance(s) });
const details = (s) => [
  { name: instance(s), type: "SRV", ttl: 120, data: { port: s.port, target: target(s), priority: 0, weight: 0 } },
  { name: instance(s), type: "TXT", ttl: 4500, data: Object.entries(s.txt ?? {}).map(([k, v]) => `${k}=${v}`) },
  ...(s.addresses ?? ["127.0.0.1"]).map((data) => ({ name: target(s), type: "A", ttl: 120, data })),
];

function inParts(answers) {
  for (let i = 0; i < answers.length; i += 12) mdns.respond({ answers: answers.slice(i, i + 12) });
}

mdns.on("query", (query) => {
  for (const question of query.questions) {
    const name = question.name.toLowerCase();
    const ofType = services.filter((s) => `${s.type}.local` === name);
    if (ofType.length > 0) inParts(ofType.map((s) => pointer(s)));
    const one = services.find((s) => instance(s).toLowerCase() === name);
    if (one) mdns.respond({ answers: details(one) });
  }
});
mdns.on("ready", () => {
  inParts(services.map((s) => pointer(s)));
  process.stdout.write("ready\n");
});
process.stdin.on("data", (line) => {
  // A name on a line of its own says goodbye to that service (RFC 6762 §10.1).
  for (const name of String(line).split("\n").filter(Boolean)) {
    const one = services.find((s) => s.name === name);
    if (one) mdns.respond({ answers: [pointer(one, 0)] });
  }
});
process.stdin.on("end", () => mdns.destroy(() => process.exit(0)));

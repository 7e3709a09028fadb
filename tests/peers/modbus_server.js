// A Modbus TCP server of modbus-serial for the tests, told over stdin what its registers hold.
// One JSON object a line, both ways:
//   {op: "put", table: "holding", address, words: [..]} {op: "put", table: "coil", address, bits}
//   {op: "written"} -> {written: [..]}   {op: "ramp", ms, count}   {op: "refuse", from, to}
"use strict";

const readline = require("node:readline");
const net = require("node:net");
const { ServerTCP } = require("modbus-serial");

const options = JSON.parse(process.argv[2] || "{}");
const SIZE = 65536;
const holding = new Uint16Array(SIZE);
const input = new Uint16Array(SIZE);
const coils = new Uint8Array(SIZE);
const discrete = new Uint8Array(SIZE);
const tables = { holding, input, coil: coils, discrete };
const written = [];
const requests = [];
let refused = [];

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

function at(table, name, address) {
  for (const [of, from, to] of refused) {
    if (of === name && address >= from && address <= to) {
      throw { modbusErrorCode: 2 };
    }
  }
  return table[address];
}

function several(table, name) {
  return (address, length, unit) => {
    requests.push([name, address, length, unit]);
    const found = [];
    for (let i = 0; i < length; i++) {
      found.push(at(table, name, address + i));
    }
    return found;
  };
}

const vector = {
  getMultipleHoldingRegisters: several(holding, "holding"),
  getMultipleInputRegisters: several(input, "input"),
  getHoldingRegister: (address, unit) => several(holding, "holding")(address, 1, unit)[0],
  getInputRegister: (address, unit) => several(input, "input")(address, 1, unit)[0],
  getCoil: (address) => at(coils, "coil", address) !== 0,
  getDiscreteInput: (address) => at(discrete, "discrete", address) !== 0,
  setRegister(address, value, unit) {
    at(holding, "holding", address);
    holding[address] = value;
    written.push(["holding", address, [value], unit]);
  },
  setRegisterArray(address, values, unit) {
    values.forEach((value, i) => { holding[address + i] = value; });
    written.push(["holding", address, Array.from(values), unit]);
  },
  setCoil(address, value, unit) {
    coils[address] = value ? 1 : 0;
    written.push(["coil", address, [value], unit]);
  },
  readDeviceIdentification: () => ({
    0x00: "Example Works", 0x01: "Meter 7", 0x02: "1.4", 0x05: "Meter", 0x97: "x",
  }),
};

const operations = {
  put({ table, address, words, bits }) {
    (words || bits).forEach((value, i) => { tables[table][address + i] = value; });
    return {};
  },
  get: ({ table, address, count }) => ({
    words: Array.from(tables[table].slice(address, address + count)),
  }),
  written: () => ({ written }),
  requests: () => ({ requests: requests.splice(0) }),
  refuse({ table, from, to }) {
    refused = from === undefined ? [] : [...refused, [table, from, to]];
    return {};
  },
  ramp({ ms, count }) {
    setInterval(() => { for (let i = 0; i < count; i++) holding[i]++; }, ms);
    return {};
  },
  clear() {
    holding.fill(0); input.fill(0); coils.fill(0); discrete.fill(0);
    written.length = 0; requests.length = 0; refused = [];
    return {};
  },
};

// The server takes port 0 for 502, so that a free one has to be looked for first.
function main() {
  if (options.port) {
    serve(options.port);
    return;
  }
  const probe = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => serve(port));
  });
}

function serve(port) {
  const server = new ServerTCP(vector, {
    host: "127.0.0.1", port, unitID: options.unit || 255, debug: false,
  });
  server.on("socketError", () => {});
  server.on("serverError", (error) => { say({ error: String(error) }); process.exit(1); });
  server.on("initialized", () => {
    say({ ready: true, port });
  });
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const { op, id, ...rest } = JSON.parse(line);
    try {
      say({ id, ...operations[op](rest) });
    } catch (error) {
      say({ id, error: String(error.stack || error) });
    }
  }).on("close", () => process.exit(0));
}

main();

// A BACnet/IP device of another make (@bacnet-js/client) for the tests.
//
//   node bacnet_device.js '{"port": 0, "objects": 0, "rpm": true, "cov": true}'
//
// Prints one JSON object per line: {"ready": true, "port": ...} first, then an answer to each
// request that it reads, one JSON object per line, from its standard input. It ends when its
// standard input does, so that no test can leave it behind.
//
// Options: port (0: a free one), bulk (how many further analog values), rpm (whether it can
// ReadPropertyMultiple), cov (whether it takes subscriptions), wildcard (whether it answers for
// the device instance 4194303).
"use strict";

const dgram = require("node:dgram");
const readline = require("node:readline");
const Bacnet = require("@bacnet-js/client");
const Client = Bacnet.default;
const {
  ApplicationTag: Tag, ConfirmedServiceChoice: Service, ErrorClass, ErrorCode, ObjectType: Type,
  PropertyIdentifier: Prop, Segmentation,
} = Bacnet;

const options = JSON.parse(process.argv[2] || "{}");
const INSTANCE = 1234;
const writes = [];
const acks = [];
const subscriptions = new Map(); // "type:instance" -> {address, process, isConfirmed, ends_ms}
const objects = new Map();
const seen = { covs: 0, reads: 0, rpms: 0, whoIs: 0, notified: 0 };

const real = (value) => [{ type: Tag.REAL, value }];
const text = (value) => [{ type: Tag.CHARACTER_STRING, value, encoding: 0 }];
const enumerated = (value) => [{ type: Tag.ENUMERATED, value }];
const unsigned = (value) => [{ type: Tag.UNSIGNED_INTEGER, value }];
const flags = (bits) => [{
  type: Tag.BIT_STRING, value: { bitsUsed: 4, value: [bits.reduce((a, b, i) => a | (b << i), 0)] },
}];

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = dgram.createSocket("udp4");
    probe.once("error", reject);
    probe.bind(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const key = ({ type, instance }) => `${type}:${instance}`;

function add(type, instance, name, value, more) {
  const id = { type, instance };
  objects.set(key(id), {
    id,
    name,
    properties: {
      [Prop.OBJECT_IDENTIFIER]: [{ type: Tag.OBJECTIDENTIFIER, value: id }],
      [Prop.OBJECT_NAME]: text(name),
      [Prop.OBJECT_TYPE]: enumerated(type),
      [Prop.PRESENT_VALUE]: value,
      [Prop.STATUS_FLAGS]: flags([0, 0, 0, 0]),
      [Prop.EVENT_STATE]: enumerated(0),
      ...more,
    },
  });
}

function build() {
  const units = (n) => ({ [Prop.UNITS]: enumerated(n) });
  add(Type.ANALOG_INPUT, 1, "AHU1.SupplyTemp", real(18.5), {
    ...units(62), [Prop.DESCRIPTION]: text("Supply air"), [Prop.MIN_PRES_VALUE]: real(-40),
    [Prop.MAX_PRES_VALUE]: real(120),
  });
  add(Type.ANALOG_INPUT, 2, "AHU1.Flow", real(2.5), units(135));
  add(Type.ANALOG_VALUE, 1, "AHU1.Setpoint", real(21), {
    ...units(62), [Prop.PRIORITY_ARRAY]: Array(16).fill(0).map(() => ({ type: Tag.NULL })),
    [Prop.RELINQUISH_DEFAULT]: real(20),
  });
  add(Type.BINARY_INPUT, 1, "Fan.Running", enumerated(1), {
    [Prop.ACTIVE_TEXT]: text("running"), [Prop.INACTIVE_TEXT]: text("stopped"),
  });
  add(Type.BINARY_OUTPUT, 1, "Fan.Command", enumerated(0), {
    [Prop.PRIORITY_ARRAY]: Array(16).fill(0).map(() => ({ type: Tag.NULL })),
    [Prop.RELINQUISH_DEFAULT]: enumerated(0),
  });
  add(Type.MULTI_STATE_VALUE, 1, "Mode", unsigned(2), {
    [Prop.NUMBER_OF_STATES]: unsigned(3),
    [Prop.STATE_TEXT]: [...text("off"), ...text("day"), ...text("night")],
  });
  add(Type.CHARACTERSTRING_VALUE, 1, "Message", text("grüß"), {});
  for (let i = 0; i < (options.bulk || 0); i++) {
    add(Type.ANALOG_VALUE, 1000 + i, `Bulk.${i}`, real(i), units(95));
  }
  const ids = [...objects.values()].map((o) => ({ type: Tag.OBJECTIDENTIFIER, value: o.id }));
  const device = { type: Type.DEVICE, instance: INSTANCE };
  objects.set(key(device), {
    id: device,
    name: "ahu-controller",
    properties: {
      [Prop.OBJECT_IDENTIFIER]: [{ type: Tag.OBJECTIDENTIFIER, value: device }],
      [Prop.OBJECT_NAME]: text("ahu-controller"),
      [Prop.OBJECT_TYPE]: enumerated(Type.DEVICE),
      [Prop.SYSTEM_STATUS]: enumerated(0),
      [Prop.VENDOR_NAME]: text("Test plant makers"),
      [Prop.MODEL_NAME]: text("T-1000"),
      [Prop.FIRMWARE_REVISION]: text("7.1"),
      [Prop.LOCATION]: text("roof"),
      [Prop.OBJECT_LIST]: [{ type: Tag.OBJECTIDENTIFIER, value: device }, ...ids],
    },
  });
}

function find(id) {
  const wild = id.type === Type.DEVICE && id.instance === 4194303 && options.wildcard !== false;
  return objects.get(key(wild ? { type: Type.DEVICE, instance: INSTANCE } : id));
}

// The values of a property or of one element of it; null if there is none.
function read(object, property) {
  const found = object.properties[property.id];
  if (!found) return null;
  if (property.index === undefined || property.index === 0xffffffff) return found;
  if (property.index === 0) return unsigned(found.length);
  return found[property.index - 1] ? [found[property.index - 1]] : null;
}

async function main() {
  const port = options.port || (await freePort());
  build();
  const client = new Client({ port, interface: "127.0.0.1", apduTimeout: 1000 });
  const refuse = (c, service, cls, code) =>
    client.errorResponse(c.header.sender, service, c.invokeId, cls, code);

  client.on("readProperty", (c) => {
    seen.reads += 1;
    const { objectId, property } = c.payload;
    const object = find(objectId);
    const values = object && read(object, property);
    if (!object) return refuse(c, Service.READ_PROPERTY, ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT);
    if (!values) {
      return refuse(c, Service.READ_PROPERTY, ErrorClass.PROPERTY, ErrorCode.UNKNOWN_PROPERTY);
    }
    if (values.length > 60) { // it cannot segment, as many small controllers
      return refuse(c, Service.READ_PROPERTY, ErrorClass.SERVICES, ErrorCode.ABORT_BUFFER_OVERFLOW);
    }
    client.readPropertyResponse(c.header.sender, c.invokeId, object.id, property, values);
  });
  client.on("readPropertyMultiple", (c) => {
    seen.rpms += 1;
    const asked = c.payload.properties;
    const n = asked.reduce((sum, o) => sum + o.properties.length, 0);
    if (options.rpm === false || n > 60) {
      return refuse(c, Service.READ_PROPERTY_MULTIPLE, ErrorClass.SERVICES,
        ErrorCode.ABORT_BUFFER_OVERFLOW);
    }
    const wrong = (errorClass, errorCode) => [
      { value: { type: "BacnetError", errorClass, errorCode } },
    ];
    client.readPropertyMultipleResponse(c.header.sender, c.invokeId, asked.map((o) => {
      const object = find(o.objectId);
      return {
        objectId: object ? object.id : o.objectId,
        values: o.properties.map((property) => ({
          property,
          value: !object ? wrong(ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT)
            : read(object, property) || wrong(ErrorClass.PROPERTY, ErrorCode.UNKNOWN_PROPERTY),
        })),
      };
    }));
  });
  client.on("subscribeCov", (c) => {
    seen.covs += 1;
    const p = c.payload;
    const object = find(p.monitoredObjectId);
    if (options.cov === false || !object || object.id.type === Type.CHARACTERSTRING_VALUE) {
      return refuse(c, Service.SUBSCRIBE_COV, ErrorClass.OBJECT,
        ErrorCode.OPTIONAL_FUNCTIONALITY_NOT_SUPPORTED);
    }
    const subscription = {
      address: c.header.sender, process: p.subscriberProcessId,
      isConfirmed: p.issueConfirmedNotifications, ends_ms: Date.now() + p.lifetime * 1000,
    };
    subscriptions.set(key(object.id), subscription);
    client.simpleAckResponse(c.header.sender, Service.SUBSCRIBE_COV, c.invokeId);
    notify(object);
  });
  client.on("writeProperty", (c) => {
    const { objectId, value } = c.payload;
    const object = find(objectId);
    const commandable = object && object.properties[Prop.PRIORITY_ARRAY];
    if (!object) return refuse(c, Service.WRITE_PROPERTY, ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT);
    if (!commandable || value.property.id !== Prop.PRESENT_VALUE) {
      return refuse(c, Service.WRITE_PROPERTY, ErrorClass.PROPERTY, ErrorCode.WRITE_ACCESS_DENIED);
    }
    const written = value.value[0];
    writes.push({ name: object.name, value: written.value ?? null, priority: value.priority });
    commandable[value.priority - 1] = written.type === Tag.NULL ? { type: Tag.NULL } : written;
    const highest = commandable.find((each) => each.type !== Tag.NULL);
    object.properties[Prop.PRESENT_VALUE] =
      highest ? [highest] : object.properties[Prop.RELINQUISH_DEFAULT];
    client.simpleAckResponse(c.header.sender, Service.WRITE_PROPERTY, c.invokeId);
    notify(object);
  });
  client.on("alarmAcknowledge", (c) => {
    acks.push(1);
    client.simpleAckResponse(c.header.sender, Service.ACKNOWLEDGE_ALARM, c.invokeId);
  });
  client.on("whoIs", () => { seen.whoIs += 1; });
  client.on("error", () => {}); // what came was no BACnet; a device goes on

  function notify(object) {
    const s = subscriptions.get(key(object.id));
    if (!s || s.ends_ms < Date.now()) return;
    seen.notified += 1;
    const left = Math.round((s.ends_ms - Date.now()) / 1000);
    const values = [Prop.PRESENT_VALUE, Prop.STATUS_FLAGS].map((id) => ({
      property: { id, index: 0xffffffff }, value: object.properties[id],
    }));
    if (s.isConfirmed) {
      client.confirmedCOVNotification(s.address, object.id, s.process, INSTANCE, left, values)
        .catch(() => {});
    } else {
      client.unconfirmedCOVNotification(s.address, s.process, INSTANCE, object.id, left, values);
    }
  }

  const named = (name) => {
    const found = [...objects.values()].find((o) => o.name === name);
    if (!found) throw new Error(`no object ${name}`);
    return found;
  };
  const answers = {
    set: ({ name, value, bits, state }) => {
      const object = named(name);
      if (value !== undefined) {
        const before = object.properties[Prop.PRESENT_VALUE][0];
        object.properties[Prop.PRESENT_VALUE] = [{ ...before, value }];
      }
      if (bits) object.properties[Prop.STATUS_FLAGS] = flags(bits);
      if (state !== undefined) object.properties[Prop.EVENT_STATE] = enumerated(state);
      notify(object);
      return {};
    },
    writes: () => ({ writes }),
    acks: () => ({ acks }),
    clear: () => (writes.length = 0, {}),
    forget: () => (subscriptions.clear(), {}),
    seen: () => ({ ...seen, subscriptions: subscriptions.size }),
  };
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    let request = {};
    try {
      request = JSON.parse(line);
      say({ id: request.id, ...answers[request.op](request) });
    } catch (error) {
      say({ id: request.id, error: String(error) });
    }
  }).on("close", () => process.exit(0));
  client.on("listening", () => say({ ready: true, port, pid: process.pid }));
}

main().catch((error) => {
  say({ error: String(error.stack || error) });
  process.exit(1);
});

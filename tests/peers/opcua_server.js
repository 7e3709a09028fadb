// An OPC UA server of another make (node-opcua) for the tests and the bench.
//
//   node opcua_server.js '{"port": 0, "root": "/tmp/pki", ...}'
//
// Prints one JSON object per line: {"ready": ..., "port": ...} first, then an answer to each
// request that it reads, one JSON object per line, from its standard input. It ends when its
// standard input does, so that no test can leave it behind.
//
// Options: port (0: a free one), root (where its certificates live), secure (only encrypted
// endpoints), users ({name: password}; anonymous is refused then), bulk (how many Double
// variables below the object Bulk), extra (adds the object Extra, as after a change of program),
// alarms (adds limit alarms on the filler's level and temperature, and conditions that last),
// past (how many samples a second apart, up to now, the filler's level has in its history),
// max_browse / max_read / max_items (OperationLimits), max_sessions.
"use strict";

const net = require("node:net");
const readline = require("node:readline");
const {
  AccessLevelFlag, DataType, DataValue, OPCUACertificateManager, OPCUAServer, MessageSecurityMode,
  SecurityPolicy, StatusCodes, Variant, VariantArrayType, coerceNodeId, makeAccessLevelFlag,
  makeBrowsePath, standardUnits, coerceLocalizedText, Range,
} = require("node-opcua");

const options = JSON.parse(process.argv[2] || "{}");
const writes = [];
const calls = [];
const alarms = {}; // name -> condition
const nodes = {}; // name -> variable, for {"op": "set"}

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// A variable that remembers what is written to it, and what it is set to from here.
function keep(name, variable, isWritable) {
  nodes[name] = variable;
  if (isWritable) {
    variable.accessLevel = makeAccessLevelFlag("CurrentRead | CurrentWrite");
    variable.userAccessLevel = makeAccessLevelFlag("CurrentRead | CurrentWrite");
    variable.on("value_changed", (dataValue) => {
      if (!variable.$fromHere) writes.push({ name, value: dataValue.value.value });
    });
  } else {
    variable.accessLevel = makeAccessLevelFlag("CurrentRead");
    variable.userAccessLevel = makeAccessLevelFlag("CurrentRead");
  }
  return variable;
}

function put(variable, dataType, value, sourceTime, status, arrayType) {
  variable.$fromHere = true;
  const variant = new Variant({
    dataType, value, arrayType: arrayType ?? VariantArrayType.Scalar,
  });
  variable.setValueFromSource(variant, status ?? StatusCodes.Good, sourceTime ?? new Date());
  variable.$fromHere = false;
}

// Two limit alarms (OPC 10000-9 §5.8) whose source is the filler: one with everything that a
// person can do about it, one that can only be acknowledged.
function addAlarms(space, ns, filler, status) {
  space.installAlarmsAndConditionsService();
  const server = space.rootFolder.objects.server;
  server.addReference({ referenceType: "HasNotifier", nodeId: filler.nodeId });
  filler.setEventNotifier?.(1);
  for (const part of [filler.level, status.temp]) {
    filler.addReference({ referenceType: "HasEventSource", nodeId: part.nodeId });
  }
  const limits = { highHighLimit: 95, highLimit: 90, lowLimit: 10, lowLowLimit: 5 };
  alarms.Level = ns.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "LevelAlarm", conditionName: "Level", conditionSource: filler.level,
    inputNode: filler.level, optionals: [
      "ConfirmedState", "Confirm", "ShelvingState", "SuppressedState", "OutOfServiceState",
    ], ...limits,
  });
  alarms.Temp = ns.instantiateNonExclusiveLimitAlarm("NonExclusiveLimitAlarmType", {
    browseName: "TempAlarm", conditionName: "Temp", conditionSource: status.temp,
    inputNode: status.temp, ...limits,
  });
  for (const alarm of Object.values(alarms)) alarm.setEnabledState(true);
  alarms.Level.shelvingState.setState("Unshelved"); // it begins in no state at all
}

function build(server) {
  const space = server.engine.addressSpace;
  const ns = space.getOwnNamespace();
  const flowsTo = ns.addReferenceType({
    browseName: "FlowsTo", inverseName: "FlowsFrom",
    subtypeOf: "NonHierarchicalReferences",
  });

  const stateType = ns.addEnumerationType({
    browseName: "MachineState", enumeration: ["Stopped", "Running", "Jammed"],
  });

  const machineType = ns.addObjectType({ browseName: "MachineType" });
  const rule = { modellingRule: "Mandatory" };
  ns.addAnalogDataItem({
    componentOf: machineType, browseName: "Speed", dataType: "Double",
    engineeringUnitsRange: { low: 0, high: 120 },
    engineeringUnits: standardUnits.revolution_per_minute ?? standardUnits.hertz,
    value: { dataType: DataType.Double, value: 0 }, description: "Of the main drive", ...rule,
  });
  ns.addVariable({
    componentOf: machineType, browseName: "Running", dataType: "Boolean",
    value: { dataType: DataType.Boolean, value: false }, ...rule,
  });
  ns.addVariable({
    propertyOf: machineType, browseName: "SerialNumber", dataType: "String",
    value: { dataType: DataType.String, value: "" }, ...rule,
  });
  const reset = ns.addMethod(machineType, { browseName: "Reset", ...rule });
  const setRecipe = ns.addMethod(machineType, {
    browseName: "SetRecipe", ...rule,
    inputArguments: [
      { name: "Recipe", dataType: DataType.String, description: { text: "Which" } },
      { name: "Speed", dataType: DataType.Double, description: { text: "How fast" } },
      { name: "Batches", dataType: DataType.Int16, description: { text: "How many" } },
    ],
    outputArguments: [
      { name: "Accepted", dataType: DataType.Boolean, description: { text: "" } },
      { name: "Before", dataType: DataType.Double, description: { text: "" } },
    ],
  });
  for (const method of [reset, setRecipe]) method.bindMethod((i, c, done) => done(null, {}));

  const fillerType = ns.addObjectType({ browseName: "FillerType", subtypeOf: machineType });
  ns.addAnalogDataItem({
    componentOf: fillerType, browseName: "Level", dataType: "Float",
    engineeringUnitsRange: { low: 0, high: 100 }, engineeringUnits: standardUnits.percent,
    value: { dataType: DataType.Float, value: 0 }, ...rule,
  });
  ns.addMultiStateDiscrete({
    componentOf: fillerType, browseName: "Mode", enumStrings: ["Off", "Manual", "Auto"], ...rule,
  });
  ns.addVariable({
    componentOf: fillerType, browseName: "Nozzles", dataType: "UInt16",
    value: { dataType: DataType.UInt16, value: 24 }, modellingRule: "Optional",
  });

  const line = ns.addFolder("ObjectsFolder", { browseName: "Line1" });
  const filler = fillerType.instantiate({ browseName: "Filler", organizedBy: line });
  const capper = machineType.instantiate({ browseName: "Capper", organizedBy: line });
  filler.addReference({ referenceType: flowsTo.nodeId, nodeId: capper.nodeId });
  // Around in a circle: from the machine back to the line.
  capper.addReference({ referenceType: "Organizes", nodeId: line.nodeId });
  put(filler.serialNumber, DataType.String, "F-0042");
  put(capper.serialNumber, DataType.String, "C-0007");
  const status = ns.addVariable({
    componentOf: filler, browseName: "Status", dataType: stateType.nodeId,
    value: { dataType: DataType.Int32, value: 1 },
  });
  keep("Filler.Status", status);
  keep("Filler.Status.Temp", ns.addAnalogDataItem({
    componentOf: status, browseName: "Temp", dataType: "Double",
    engineeringUnitsRange: { low: -40, high: 150 }, engineeringUnits: standardUnits.degree_celsius,
    value: { dataType: DataType.Double, value: 21.5 },
  }));
  keep("Filler.Speed", filler.speed, true);
  keep("Filler.Running", filler.running);
  keep("Filler.Level", filler.level);
  keep("Filler.Mode", filler.mode, true);
  keep("Capper.Speed", capper.speed, true);
  keep("Capper.Running", capper.running);
  put(filler.level, DataType.Float, 50);
  space.installHistoricalDataNode(filler.level, { maxOnlineValues: 10000 });
  filler.reset.bindMethod((inputs, context, done) => {
    calls.push({ name: "Reset", inputs: [] });
    done(null, { statusCode: StatusCodes.Good, outputArguments: [] });
  });
  filler.setRecipe.bindMethod((inputs, context, done) => {
    const values = inputs.map((i) => i.value);
    calls.push({ name: "SetRecipe", inputs: values });
    if (values[1] < 0) return done(null, { statusCode: StatusCodes.BadOutOfRange });
    const before = filler.speed.readValue().value.value;
    done(null, { statusCode: StatusCodes.Good, outputArguments: [
      { dataType: DataType.Boolean, value: true }, { dataType: DataType.Double, value: before },
    ] });
  });

  if (options.alarms) addAlarms(space, ns, filler, status);
  for (let i = options.past || 0; i > 0; i--) {
    put(filler.level, DataType.Float, 20 + i / 1000, new Date(Date.now() - i * 1000));
  }
  if (options.past) put(filler.level, DataType.Float, 50);

  const kinds = ns.addObject({ organizedBy: "ObjectsFolder", browseName: "Kinds" });
  const samples = [
    ["Boolean", true], ["SByte", -8], ["Byte", 200], ["Int16", -3000], ["UInt16", 60000],
    ["Int32", -70000], ["UInt32", 4000000000], ["Int64", [4294967295, 4294967294]],
    ["UInt64", [0, 77]], ["Float", 1.5], ["Double", Math.PI], ["String", "grüß"],
    ["DateTime", new Date(1700000000123)], ["Guid", "72962B91-FA75-4AE6-8D28-B404DC7DAF63"],
    ["ByteString", Buffer.from([1, 2, 254])], ["NodeId", coerceNodeId("ns=1;s=abc")],
    ["StatusCode", StatusCodes.BadSensorFailure],
    ["LocalizedText", coerceLocalizedText("läuft")],
  ];
  for (const [name, value] of samples) {
    keep(`Kinds.${name}`, ns.addVariable({
      componentOf: kinds, browseName: name, dataType: name,
      nodeId: `s=Kinds.${name}`,
      value: { dataType: DataType[name], arrayType: VariantArrayType.Scalar, value },
    }), true);
  }
  const arrays = [
    ["Doubles", "Double", new Float64Array([1, 2.5, -3])],
    ["Shorts", "Int16", new Int16Array([1, -2, 3])],
    ["Words", "UInt16", new Uint16Array([1, 65535])],
    ["Texts", "String", ["a", "b", "ü"]],
    ["Bits", "Boolean", [true, false, true]],
  ];
  for (const [name, type, value] of arrays) {
    keep(`Kinds.${name}`, ns.addVariable({
      componentOf: kinds, browseName: name, dataType: type, valueRank: 1,
      value: { dataType: DataType[type], arrayType: VariantArrayType.Array, value },
    }));
  }
  keep("Kinds.Range", ns.addVariable({
    componentOf: kinds, browseName: "Range", dataType: "Range",
    value: { dataType: DataType.ExtensionObject, value: new Range({ low: 1, high: 2 }) },
  }));
  keep("Kinds.Any", ns.addVariable({
    componentOf: kinds, browseName: "Any", dataType: "BaseDataType",
    value: { dataType: DataType.Double, value: 5 },
  }));

  const bulk = ns.addObject({ organizedBy: "ObjectsFolder", browseName: "Bulk" });
  const variables = [];
  for (let i = 0; i < (options.bulk || 0); i++) {
    variables.push(ns.addVariable({
      componentOf: bulk, browseName: `V${String(i).padStart(5, "0")}`, dataType: "Double",
      nodeId: `s=Bulk.V${i}`, value: { dataType: DataType.Double, value: i },
    }));
  }
  if (options.extra) {
    keep("Extra.Value", ns.addVariable({
      componentOf: ns.addObject({ organizedBy: "ObjectsFolder", browseName: "Extra" }),
      browseName: "Value", dataType: "Double", value: { dataType: DataType.Double, value: 9 },
    }));
  }
  return variables;
}

async function main() {
  const port = options.port || (await freePort());
  const pki = new OPCUACertificateManager({
    rootFolder: options.root, automaticallyAcceptUnknownCertificate: true,
  });
  const limits = {
    maxNodesPerBrowse: options.max_browse ?? 500, maxNodesPerRead: options.max_read ?? 1000,
    maxMonitoredItemsPerCall: options.max_items ?? 1000,
  };
  const server = new OPCUAServer({
    port, hostname: "127.0.0.1", allowAnonymous: !options.users,
    serverCertificateManager: pki,
    userCertificateManager: pki,
    userManager: { isValidUser: (name, password) => (options.users || {})[name] === password },
    securityModes: options.secure
      ? [MessageSecurityMode.SignAndEncrypt]
      : [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: options.secure
      ? [SecurityPolicy.Basic256Sha256]
      : [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    buildInfo: { productName: "Test plant", manufacturerName: "Plant makers", softwareVersion: "7" },
    serverInfo: { applicationUri: "urn:test-plant", productUri: "urn:test-plant:product" },
    serverCapabilities: {
      operationLimits: limits,
      minSupportedSampleRate: 0, // who asks for a sampling interval of 0 gets every change
      maxSessions: options.max_sessions ?? 10,
      maxMonitoredItemsPerSubscription: 200000, maxMonitoredItems: 400000,
    },
  });
  await server.initialize();
  const bulk = build(server);
  await server.start();
  say({ ready: true, port, pid: process.pid });

  let round = 0;
  let timer = null;
  const rounds = () => {
    const at = new Date();
    round += 1;
    for (let i = 0; i < bulk.length; i++) put(bulk[i], DataType.Double, round + i / 1e5, at);
  };
  const answers = {
    set: ({ name, value, type, time_ms, status }) => {
      const variable = nodes[name];
      if (!variable) throw new Error(`no variable ${name}`);
      const dataType = DataType[type] ?? variable.readValue().value.dataType;
      const at = time_ms === undefined ? new Date() : new Date(time_ms);
      const arrayType = variable.readValue().value.arrayType;
      put(variable, dataType, value, at, status ? StatusCodes[status] : undefined, arrayType);
      return {};
    },
    alarm: ({ name }) => {
      const branch = alarms[name].currentBranch();
      return {
        active: alarms[name].activeState.getValue(), acked: branch.getAckedState(),
        confirmed: name === "Level" ? branch.getConfirmedState() : null,
        shelving: alarms[name].shelvingState?.getCurrentState?.() ?? null,
        comment: branch.getComment().text, retain: branch.getRetain(),
      };
    },
    enable: ({ name, on }) => (alarms[name].setEnabledState(on), {}),
    read: ({ name }) => ({ value: nodes[name].readValue().value.value }),
    writes: () => ({ writes }),
    calls: () => ({ calls }),
    clear: () => (writes.length = 0, calls.length = 0, {}),
    unacknowledged: () => ({ count: Object.values(server.engine._sessions)
      .flatMap((session) => session.publishEngine.subscriptions)
      .reduce((sum, s) => sum + s.unacknowledgedMessageCount, 0) }),
    round: () => (rounds(), { round }),
    every: ({ ms }) => {
      clearInterval(timer);
      timer = ms ? setInterval(rounds, ms) : null;
      return { round };
    },
    sessions: () => ({ sessions: server.engine.currentSessionCount,
      subscriptions: server.engine.currentSubscriptionCount,
      cpu_us: Object.values(process.cpuUsage()).reduce((a, b) => a + b) }),
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
}

main().catch((error) => {
  say({ error: String(error.stack || error) });
  process.exit(1);
});

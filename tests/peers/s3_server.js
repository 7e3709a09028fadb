// An object store of another make: S3 over HTTP on a free port of the loopback interface.
// node s3_server.js FOLDER BUCKET   prints its port, ends with its standard input.
const S3rver = require("s3rver");
const [folder, bucket] = process.argv.slice(2);
const server = new S3rver({
  address: "127.0.0.1", port: 0, silent: true, directory: folder, configureBuckets: [{ name: bucket }],
});
server.run((error, at) => {
  if (error) throw error;
  console.log(at.port);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

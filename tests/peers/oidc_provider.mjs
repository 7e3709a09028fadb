// An OpenID provider of another make: node oidc_provider.mjs PORT CALLBACK
// Signs in whoever gives a login name; groups come from the name: ops-NAME is in plant-ops.
import Provider from "oidc-provider";

const [port, callback] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "mirrorworld",
      client_secret: "a-secret-of-the-test",
      redirect_uris: [callback],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub", "groups"], profile: ["preferred_username"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true },
  cookies: { keys: ["only for tests"] },
  async findAccount(_, id) {
    return {
      accountId: id,
      async claims() {
        return { sub: id, preferred_username: id, groups: id.startsWith("ops-") ? ["plant-ops"] : [] };
      },
    };
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));

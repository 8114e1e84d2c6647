// A real, certified OpenID provider on a free port: its people are what the test says on standard input, line by line.
//
// Arguments: the client's secret, and the redirect addresses. The first line on standard output is the address. Each line of
// standard input is an object that replaces what it names: people (by name), skew (seconds that the provider's clock is off),
// broken (answers 503 to everything), identity (what it does to ID tokens: "replayed": it sends the first one it ever made;
// "changed": another's name under the old signature; "unsigned": no signature at all).
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

console.info = console.error; // standard output is for the tests
const [secret, ...redirects] = process.argv.slice(2);
const said = { people: {}, skew: 0, broken: false, identity: '' };

// The whole process lives in the provider's time.
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length ? parts : [RealDate.now() + said.skew * 1000]));
  }
  static now() {
    return RealDate.now() + said.skew * 1000;
  }
};

const port = await new Promise(resolve => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'nabla',
      client_secret: secret,
      redirect_uris: redirects,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code']
    }
  ],
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub'], profile: ['preferred_username', 'company'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['a key of the tests'] },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AuthorizationCode: 86400 }, // a clock is set forward while a code is on its way
  interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(context, id) {
    const person = said.people[id];
    return person && { accountId: id, claims: async () => ({ sub: person.sub ?? `sub-${id}`, ...person }) };
  }
});

let first;
const part = object => Buffer.from(JSON.stringify(object)).toString('base64url');
const forged = {
  replayed: token => (first ??= token),
  changed(token) {
    const [header, claims, signature] = token.split('.');
    const told = JSON.parse(Buffer.from(claims, 'base64url'));
    return [header, part({ ...told, sub: 'sub-root' }), signature].join('.');
  },
  unsigned: token => `${part({ alg: 'none' })}.${token.split('.')[1]}.`
};
provider.use(async (context, next) => {
  await next();
  if (context.path === '/token' && context.body?.id_token) {
    first ??= context.body.id_token;
    context.body.id_token = forged[said.identity]?.(context.body.id_token) ?? context.body.id_token;
  }
});

const page = (uid, name) => `<!doctype html><title>Provider</title><h1>The company's provider</h1>
<form method="post" action="/interaction/${uid}"><input name="name" value="${name}" aria-label="Name">
<button name="do" value="in">Sign in here</button><button name="do" value="refuse">Refuse</button></form>`;

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(details.uid, ''));
    return;
  }
  let body = '';
  for await (const piece of request) body += piece;
  const form = new URLSearchParams(body);
  if (form.get('do') === 'refuse') {
    await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The person said no.' });
    return;
  }
  const accountId = form.get('name');
  const grant = new provider.Grant({ accountId, clientId: details.params.client_id });
  grant.addOIDCScope(details.params.scope);
  const result = { login: { accountId, remember: false }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const handle = provider.callback();
createServer((request, response) => {
  response.setHeader('date', new Date().toUTCString());
  if (said.broken) {
    response.statusCode = 503;
    response.end('down for the test');
  } else if (request.url.startsWith('/interaction/')) {
    interact(request, response).catch(error => {
      response.statusCode = 500;
      response.end(String(error));
    });
  } else {
    handle(request, response);
  }
}).listen(port, '127.0.0.1', () => console.log(issuer));

const lines = createInterface({ input: process.stdin });
lines.on('line', line => {
  Object.assign(said, JSON.parse(line));
  console.log('heard');
});
lines.on('close', () => process.exit(0)); // the tests are gone

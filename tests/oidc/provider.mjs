// A certified OpenID provider (npm oidc-provider) with the limits of FranceConnect v2: its lifetimes,
// eidas1, pairwise subjects, client_secret_post alone, signed userinfo. One argument: the clients as JSON.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider, interactionPolicy } from 'oidc-provider';

const ROOT = '/api/v2';
const SCOPES = 'openid identite_pivot email';
const PIVOT = [
  'given_name', 'given_name_array', 'family_name', 'birthdate', 'gender', 'birthplace', 'birthcountry',
];
const PERSONS = {
  camille: {
    family_name: 'MARTIN', given_name: 'Camille Louise', given_name_array: ['Camille', 'Louise'],
    birthdate: '1984-05-17', gender: 'female', birthplace: '75107', birthcountry: '99100',
    email: 'camille.martin@example.org',
  },
  aminata: {
    family_name: 'DIALLO', given_name: 'Aminata', given_name_array: ['Aminata'],
    birthdate: '1962-00-00', gender: 'female', birthplace: '', birthcountry: '99335',
  },
};
const clients = JSON.parse(process.argv[2]);
const cookieKeys = [randomBytes(32).toString('hex')];

function policy() {
  const { Check, base } = interactionPolicy;
  const prompts = base();
  // As FranceConnect does: whoever comes logs in, also within a session.
  prompts.get('login').checks.add(
    new Check('always', 'everybody is asked each time', (ctx) =>
      ctx.oidc.result?.login ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT),
  );
  return prompts;
}

function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomBytes(6).toString('hex');
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

function configuration() {
  return {
    clients,
    jwks: { keys: [newKey()] },
    cookies: { keys: cookieKeys, long: { path: '/' }, short: { path: '/' } },
    acrValues: ['eidas1'],
    scopes: SCOPES.split(' '),
    claims: { openid: ['sub'], identite_pivot: PIVOT, email: ['email'], acr: null, amr: null },
    conformIdTokenClaims: true,
    subjectTypes: ['pairwise'],
    pairwiseIdentifier: (_, account, client) =>
      `${createHash('sha256').update(client.clientId + account).digest('hex')}v1`,
    clientAuthMethods: ['client_secret_post'],
    responseTypes: ['code'],
    pkce: { required: () => false },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256', 'RS256'],
      userinfoSigningAlgValues: ['ES256', 'RS256'],
    },
    ttl: {
      AuthorizationCode: 30, AccessToken: 60, IdToken: 60, Session: 1800, Interaction: 1800, Grant: 1800,
    },
    features: {
      devInteractions: { enabled: false },
      jwtUserinfo: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: askToLogOut },
    },
    interactions: { policy: policy(), url: (_, interaction) => `${ROOT}/interaction/${interaction.uid}` },
    routes: { authorization: '/authorize', end_session: '/session/end', userinfo: '/userinfo' },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PERSONS[id] }) }),
  };
}

function askToLogOut(ctx, form) {
  ctx.body = `<!doctype html><title>Log out</title>${form}
    <button form="op.logoutForm" name="logout" value="yes">Log out</button>`;
}

async function formOf(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return new URLSearchParams(text);
}

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Who?</title>
      <form method="post" action="${request.url}"><input name="person"></form>`);
    return;
  }
  const person = (await formOf(request)).get('person');
  if (!(person in PERSONS)) {
    const refusal = { error: 'access_denied', error_description: 'the person said no' };
    await provider.interactionFinished(request, response, refusal);
    return;
  }
  const grant = new provider.Grant({ accountId: person, clientId: details.params.client_id });
  grant.addOIDCScope(SCOPES);
  const result = {
    login: { accountId: person, acr: 'eidas1', amr: ['pwd'] },
    consent: { grantId: await grant.save() },
  };
  await provider.interactionFinished(request, response, result);
}

let provider;
let serve;

function start(port) {
  provider = new Provider(`http://127.0.0.1:${port}${ROOT}`, configuration());
  serve = provider.callback();
}

async function answer(request, response) {
  if (request.url === '/rotate' && request.method === 'POST') {
    // What it has in memory stays: codes, tokens, sessions. Only the key is another.
    start(server.address().port);
    response.end();
  } else if (request.url.startsWith(`${ROOT}/interaction/`)) {
    await interact(request, response);
  } else if (request.url.startsWith(`${ROOT}/`)) {
    request.originalUrl = request.url;
    request.url = request.url.slice(ROOT.length);
    serve(request, response);
  } else {
    response.statusCode = 404;
    response.end();
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    response.statusCode = 400;
    response.end(String(error));
  });
});
server.listen(0, '127.0.0.1', () => {
  start(server.address().port);
  process.stdout.write(`listening on http://127.0.0.1:${server.address().port}${ROOT}\n`);
});
process.on('SIGTERM', () => process.exit(0));

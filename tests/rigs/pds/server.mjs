// A Bluesky PDS that is not ours, npm's @atproto/pds, with a PLC directory beside it, at one address. It says
// `ready URL` on standard output when it listens, and ends when its standard input ends.
//
// What a person would do is done by the PDS's own calls. What only time would do is asked of this script: see
// `control`.
//
// usage: node server.mjs FOLDER   (FOLDER/node_modules holds @atproto/pds and @did-plc/server)
// environment: PDS_ADMIN_PASSWORD        who knows it may take accounts down
//              PDS_RATE_LIMITS_ENABLED   `true` for the limits that the reference PDS has

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const HOST = '127.0.0.1';
/// Longer than an access token lives, and far shorter than a refresh token does.
const LATER_MS = 3 * 3600 * 1000;

const folder = mkdtempSync(join(tmpdir(), 'flockd-pds-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.stdin.on('end', () => process.exit(0)).resume();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(0));

const require = createRequire(join(resolve(process.argv[2]), 'package.json'));
const { PDS, envToCfg, envToSecrets, readEnv } = require('@atproto/pds');
const { AuthVerifier } = require('@atproto/pds/dist/auth-verifier.js');
const tokens = require('@atproto/pds/dist/account-manager/helpers/auth.js');
const { PlcServer, Database } = require('@did-plc/server');

/// Accounts whose access tokens have run out, each with those that were made since.
const fresh = new Map();

/// The PDS's own look at a token, at a later time for those that are to have run out.
const verify = AuthVerifier.prototype.verifyBearerJwt;
AuthVerifier.prototype.verifyBearerJwt = function (request, options) {
  const token = request.headers.authorization?.split(' ')[1] ?? '';
  const old = fresh.get(subject(token))?.has(token) === false;
  const currentDate = new Date(Date.now() + (old ? LATER_MS : 0));
  return verify.call(this, request, { ...options, currentDate });
};
const createAccessToken = tokens.createAccessToken;
tokens.createAccessToken = async (options) => {
  const token = await createAccessToken(options);
  fresh.get(options.did)?.add(token);
  return token;
};

function subject(token) {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub;
  } catch {
    return undefined;
  }
}

/// What only time would do: `/__expire?did=…` has the access tokens of an account run out, `/__forget?did=…` its
/// refresh tokens.
async function control(pds, url, response) {
  const did = url.searchParams.get('did');
  if (url.pathname === '/__expire') fresh.set(did, new Set());
  if (url.pathname === '/__forget') await tokens.revokeRefreshTokensByDid(pds.ctx.accountManager.db, did);
  response.end();
}

/// The configuration of the PDS, which reaches nobody but the directory.
function environment(port) {
  const secret = () => randomBytes(32).toString('hex');
  Object.assign(process.env, {
    PDS_PORT: String(port),
    PDS_HOSTNAME: 'localhost',
    PDS_SERVICE_DID: 'did:web:localhost',
    PDS_SERVICE_HANDLE_DOMAINS: '.test',
    PDS_DATA_DIRECTORY: folder,
    PDS_BLOBSTORE_DISK_LOCATION: join(folder, 'blobs'),
    PDS_DID_PLC_URL: `http://${HOST}:${port}`,
    PDS_INVITE_REQUIRED: 'false',
    PDS_DEV_MODE: 'true',
    PDS_DISABLE_SSRF_PROTECTION: 'true',
    PDS_JWT_SECRET: secret(),
    PDS_DPOP_SECRET: secret(),
    PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: secret(),
  });
}

// Only here, and not on every interface, as the packages' own listen would.
const server = createServer();
server.listen(0, HOST, async () => {
  const { port } = server.address();
  environment(port);
  const settings = readEnv();
  const plc = PlcServer.create({ db: Database.mock() });
  const pds = await PDS.create(envToCfg(settings), envToSecrets(settings));
  await pds.ctx.sequencer.start();
  server.on('request', (request, response) => {
    const url = new URL(request.url, `http://${HOST}:${port}`);
    if (url.pathname.startsWith('/__')) return control(pds, url, response);
    return (decodeURIComponent(url.pathname).startsWith('/did:plc:') ? plc : pds).app(request, response);
  });
  console.log(`ready http://localhost:${port}`);
});

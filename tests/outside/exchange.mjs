// Requests of a program, to any process that serves the issuer.

import { request } from 'node:http';

/** Sends a form to a path, at the port of one process; answers with the status and the JSON. */
export function sendForm(issuer, port, path, fields, headers = {}) {
  const body = new URLSearchParams(fields).toString();
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port, path, method: 'POST', agent: false, timeout: 30_000 },
        headers: {
          ...headers,
          host: new URL(issuer).host,
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, answer: text === '' ? {} : JSON.parse(text) }));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`${path}: no answer`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The header of a client that authenticates with its secret (RFC 6749, 2.3.1). */
export function basic({ client_id, client_secret }) {
  const words = [client_id, client_secret].map(encodeURIComponent).join(':');
  return { authorization: `Basic ${Buffer.from(words).toString('base64')}` };
}

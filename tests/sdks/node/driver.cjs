// One call of Stripe's own SDK for Node, as it comes from its registry: what is asked stands on
// standard input, what it came to on standard output, both in JSON.
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const Stripe = createRequire(`${process.env.SDK_DIRECTORY}/`)('stripe');

const asked = JSON.parse(readFileSync(0, 'utf8'));
const stripe = new Stripe(asked.key, {
  host: '127.0.0.1', port: asked.port, protocol: 'https', ...asked.settings,
});

const calls = {
  create: () => stripe.refunds.create(asked.params, asked.options),
  retrieve: () => stripe.refunds.retrieve(asked.id, asked.params, asked.options),
  cancel: () => stripe.refunds.cancel(asked.id, asked.params, asked.options),
  page: () => stripe.refunds.list(asked.params, asked.options),
  async walk() {
    const ids = [];
    for await (const refund of stripe.refunds.list(asked.params, asked.options)) ids.push(refund.id);
    return ids;
  },
};

function told(error) {
  if (!error.type) throw error;
  return {
    kind: error.type, code: error.code ?? null, param: error.param ?? null,
    status: error.statusCode ?? null, request_id: error.requestId ?? null,
  };
}

// After a repeated call the SDK's timer of the first attempt would keep the process for a minute.
const tell = (outcome) => process.stdout.write(JSON.stringify(outcome), () => process.exit());

calls[asked.call]().then(
  (result) => tell({ result }),
  (error) => tell({ error: told(error) }),
);

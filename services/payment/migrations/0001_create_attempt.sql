-- What may be paid, what was tried, and every word the providers said.
CREATE TABLE invoice (
    invoice_id uuid PRIMARY KEY,
    authority text NOT NULL,
    regie text NOT NULL,
    number text NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    route text NOT NULL CHECK (route IN ('regie', 'treasury')),
    amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
    withdrawn_version integer NOT NULL DEFAULT 0,
    published_at timestamptz
);

CREATE TABLE attempt (
    payment_id uuid PRIMARY KEY,
    order_id text NOT NULL UNIQUE,
    idempotency_key text UNIQUE,
    authority text NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    provider_day date NOT NULL,
    provider_number text NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    state text NOT NULL CHECK (state IN ('open', 'captured', 'refused', 'abandoned', 'expired')),
    email text,
    form bytea NOT NULL,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    provider_reference text,
    captured_cents bigint,
    CHECK (state <> 'captured' OR (provider_reference IS NOT NULL AND captured_cents IS NOT NULL)),
    -- The provider refuses a number used twice on one day, whatever the case of its letters.
    UNIQUE (account, provider_day, provider_number)
);

CREATE INDEX attempt_open ON attempt (expires_at) WHERE state = 'open';

CREATE TABLE allocation (
    payment_id uuid NOT NULL REFERENCES attempt,
    invoice_id uuid NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    is_open boolean NOT NULL DEFAULT true,
    PRIMARY KEY (payment_id, invoice_id)
);

-- One attempt at a time for each invoice: the database itself says so.
CREATE UNIQUE INDEX allocation_one_open ON allocation (invoice_id) WHERE is_open;
CREATE INDEX allocation_invoice ON allocation (invoice_id);

CREATE TABLE notice (
    notice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    fact text NOT NULL,
    order_id text,
    body bytea NOT NULL,
    outcome text NOT NULL,
    received_at timestamptz NOT NULL,
    -- The same fact told again is stored once.
    UNIQUE (provider, account, fact)
);

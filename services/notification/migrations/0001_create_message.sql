-- What the texts say of each invoice. A row without details holds the place of an invoice that other
-- facts already name: it is what they lock.
CREATE TABLE invoice (
    invoice_id uuid PRIMARY KEY,
    version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
    details jsonb,
    CHECK ((version = 0) = (details IS NULL))
);

-- Money that reached an invoice (positive) or left it (negative), each fact once.
CREATE TABLE movement (
    fact_id uuid NOT NULL,
    invoice_id uuid NOT NULL REFERENCES invoice (invoice_id),
    payment_id uuid NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents <> 0),
    receipt_address text,
    PRIMARY KEY (fact_id, invoice_id)
);

CREATE INDEX movement_invoice ON movement (invoice_id);
CREATE INDEX movement_payment ON movement (payment_id);

-- Facts that came before what they refer to.
CREATE TABLE parked_fact (
    kind text NOT NULL,
    fact_key text NOT NULL,
    awaits uuid[] NOT NULL,
    fact jsonb NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, fact_key)
);

CREATE INDEX parked_fact_awaits ON parked_fact USING gin (awaits);

-- One letter for each fact and address: the unique constraint is why nothing is told twice.
CREATE TABLE message (
    message_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('invoice_published', 'receipt', 'reversal', 'reminder')),
    fact_key text NOT NULL,
    address_hash bytea NOT NULL,
    address text NOT NULL,
    fact jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'skipped', 'refused', 'abandoned')),
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    written_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    claimed_by text,
    claimed_until timestamptz,
    UNIQUE (kind, fact_key, address_hash),
    CHECK (state <> 'skipped' OR reason IS NOT NULL),
    CHECK (state <> 'refused' OR reason IS NOT NULL)
);

CREATE INDEX message_waiting ON message (due_at) WHERE state = 'waiting';
CREATE INDEX message_unsent ON message (ended_at) WHERE state IN ('refused', 'abandoned');

-- Every time the mail server was asked, and what it said.
CREATE TABLE delivery_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES message (message_id),
    attempted_at timestamptz NOT NULL,
    state text NOT NULL,
    code integer,
    answer text
);

CREATE INDEX delivery_attempt_message ON delivery_attempt (message_id);

-- Whether e-mail is wanted at an address, by its fingerprint: the address itself is not kept.
CREATE TABLE wish (
    address_hash bytea PRIMARY KEY,
    account_id uuid NOT NULL,
    wants_email boolean NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX wish_account ON wish (account_id);

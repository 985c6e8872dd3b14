-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion, ban-drop-constraint, ban-drop-not-null
-- What baskets are ordered by, and what the treasury's page asks for.
ALTER TABLE invoice
    ADD COLUMN issued_on date,
    ADD COLUMN due_on date,
    ADD COLUMN subject text,
    ADD COLUMN fiscal_year integer,
    ADD COLUMN debt_reference text;

-- An attempt is kept before its provider is called: what the provider prepares comes later.
ALTER TABLE attempt
    DROP CONSTRAINT attempt_state_check,
    ALTER COLUMN provider_day DROP NOT NULL,
    ALTER COLUMN provider_number DROP NOT NULL,
    ALTER COLUMN form DROP NOT NULL,
    -- The provider's own name of it, and what its library wants to see again.
    ADD COLUMN reference text NOT NULL DEFAULT '',
    ADD COLUMN provider_raw bytea,
    ADD COLUMN means text NOT NULL DEFAULT 'card',
    -- False while money that was taken may still come back unpaid.
    ADD COLUMN is_settled boolean NOT NULL DEFAULT true,
    ADD COLUMN closed_by text,
    ADD COLUMN returned_cents bigint NOT NULL DEFAULT 0,
    -- Fingerprint of what was asked under the idempotency key; empty for attempts of before.
    ADD COLUMN demand_sha256 bytea NOT NULL DEFAULT '';

UPDATE attempt SET state = 'redirected' WHERE state = 'open';

ALTER TABLE attempt
    ADD CONSTRAINT attempt_state_known CHECK (state IN (
        'created', 'redirected', 'pending', 'captured', 'refused', 'abandoned', 'expired',
        'reversed'
    )),
    -- Never more goes back than was taken.
    ADD CONSTRAINT attempt_returned CHECK (
        returned_cents >= 0 AND returned_cents <= coalesce(captured_cents, 0)
    );

DROP INDEX attempt_open;
CREATE INDEX attempt_in_flight ON attempt (expires_at)
WHERE state IN ('created', 'redirected', 'pending');
CREATE INDEX attempt_reference ON attempt (provider, account, reference) WHERE reference <> '';
CREATE INDEX attempt_ended ON attempt (account, ended_at) WHERE captured_cents IS NOT NULL;

-- Every move: who found it, when, from where, to where.
CREATE TABLE attempt_move (
    move_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES attempt,
    source text,
    target text NOT NULL,
    found_by text NOT NULL,
    moved_at timestamptz NOT NULL,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX attempt_move_attempt ON attempt_move (payment_id, move_id);

-- Money that went back, once for each operation at the provider.
CREATE TABLE reversal (
    reversal_id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES attempt,
    reference text NOT NULL,
    cause text NOT NULL CHECK (cause IN ('refund', 'chargeback', 'cancelled')),
    returned_at timestamptz NOT NULL,
    UNIQUE (payment_id, reference)
);
CREATE TABLE reversal_part (
    reversal_id uuid NOT NULL REFERENCES reversal,
    position integer NOT NULL,
    invoice_id uuid NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    PRIMARY KEY (reversal_id, position)
);
CREATE INDEX reversal_part_invoice ON reversal_part (invoice_id);

-- What is still to be asked of a provider: nothing when next_at is null.
CREATE TABLE poll (
    payment_id uuid PRIMARY KEY REFERENCES attempt,
    next_at timestamptz,
    asked_count integer NOT NULL DEFAULT 0,
    asked_at timestamptz,
    locked_until timestamptz,
    needs_people boolean NOT NULL DEFAULT false,
    last_error text NOT NULL DEFAULT ''
);
CREATE INDEX poll_due ON poll (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX poll_unclear ON poll (payment_id) WHERE needs_people;

-- A notice may come in the address.
ALTER TABLE notice ADD COLUMN query text NOT NULL DEFAULT '';

-- The providers' own lists, to compare with.
CREATE TABLE statement_line (
    account text NOT NULL,
    order_name text NOT NULL,
    reference text NOT NULL,
    state text NOT NULL CHECK (state IN ('captured', 'reversed', 'open')),
    amount_cents bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (account, order_name, reference)
);
CREATE INDEX statement_line_at ON statement_line (account, at);

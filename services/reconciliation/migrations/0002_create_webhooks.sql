-- How far each client says that it has read the feed.
CREATE TABLE feed_cursor (
    authority text NOT NULL,
    client text NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (authority, client)
);

-- Where a client wants to be told. One that was deleted stays until its deliveries are gone.
CREATE TABLE webhook_endpoint (
    endpoint_id uuid PRIMARY KEY,
    authority text NOT NULL,
    client text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    -- The régies it chose, or null for all; and those that its latest token covered.
    regies text[],
    granted text[] NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'deleted')),
    created_at timestamptz NOT NULL,
    -- Health: an endpoint that struggles is called by workers of its own, one call at a time.
    is_struggling boolean NOT NULL DEFAULT false,
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    succeeded_at timestamptz,
    failed_at timestamptz,
    -- Whose turn it is: the one that was served longest ago.
    served_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX webhook_endpoint_client ON webhook_endpoint (authority, client)
WHERE state <> 'deleted';

-- What events are signed with, sealed under WEBHOOK_KEY. One that was replaced signs until it retires.
CREATE TABLE webhook_secret (
    secret_id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint ON DELETE CASCADE,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retires_at timestamptz
);

CREATE INDEX webhook_secret_endpoint ON webhook_secret (endpoint_id);

-- One row for each event and endpoint: the queue, and for 90 days the memory of it. The event itself
-- stands in the feed at `position`; a test has none.
CREATE TABLE webhook_delivery (
    delivery_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    position bigint,
    invoice_id uuid,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'parked')),
    -- Tries on the ladder, which a replay climbs again from the bottom.
    tries integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    claim_id uuid,
    claimed_until timestamptz,
    UNIQUE (endpoint_id, position),
    CHECK ((position IS NULL) = (invoice_id IS NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK ((claim_id IS NULL) = (claimed_until IS NULL))
);

CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint_id, due_at, position)
WHERE state = 'waiting';
CREATE INDEX webhook_delivery_order ON webhook_delivery (endpoint_id, invoice_id, position)
WHERE state = 'waiting';
CREATE INDEX webhook_delivery_claimed ON webhook_delivery (endpoint_id)
WHERE claim_id IS NOT NULL;
CREATE INDEX webhook_delivery_listed ON webhook_delivery (endpoint_id, sequence);
CREATE INDEX webhook_delivery_parked ON webhook_delivery (endpoint_id, sequence)
WHERE state = 'parked';

-- Every call, and how it ended.
CREATE TABLE webhook_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id uuid NOT NULL REFERENCES webhook_delivery ON DELETE CASCADE,
    attempted_at timestamptz NOT NULL,
    outcome text NOT NULL,
    status integer,
    -- Why nothing was answered, or the first kilobyte of what was.
    detail text NOT NULL,
    answer bytea NOT NULL,
    duration_ms integer NOT NULL
);

CREATE INDEX webhook_attempt_delivery ON webhook_attempt (delivery_id, attempt_id);

-- Who FranceConnect says a person is, as it told it last. The key is the issuer and its subject;
-- the address is what FranceConnect was told by somebody else: a suggestion, never a proof.
CREATE TABLE identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id uuid NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
    family_name text NOT NULL,
    given_names text [] NOT NULL,
    birthdate text NOT NULL,
    gender text NOT NULL,
    birthplace text NOT NULL,
    birthcountry text NOT NULL,
    suggested_email text NOT NULL,
    linked_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- Browsers that left for FranceConnect, to log in, to link, to confirm or to log out; each comes
-- back once, within ten minutes, and is the one that left.
CREATE TABLE france_connect_journey (
    state_sha256 bytea PRIMARY KEY,
    browser_sha256 bytea NOT NULL,
    purpose text NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    following text NOT NULL,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    started_at timestamptz NOT NULL
);

-- What FranceConnect wants back when a session ends: its id token, sealed. A session whose owner
-- proves again who they are gets another secret, and keeps its token.
CREATE TABLE france_connect_session (
    session_sha256 bytea PRIMARY KEY REFERENCES session ON DELETE CASCADE ON UPDATE CASCADE,
    id_token_sealed bytea NOT NULL
);

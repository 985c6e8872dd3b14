-- What people want to be told, and how; a row with no authority is about all of them.
-- The rows leave with the account: they say something about a person.
CREATE TABLE choice (
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    authority text NOT NULL DEFAULT '',
    event text NOT NULL,
    channel text NOT NULL,
    wanted boolean NOT NULL,
    PRIMARY KEY (account_id, authority, event, channel)
);

-- The hours in which telephones stay silent, `HH:MM` on the clock of Paris; no row, none.
CREATE TABLE quiet_hours (
    account_id uuid PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    quiet_from text NOT NULL,
    quiet_until text NOT NULL
);

-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file require-concurrent-index-creation
-- What ended long ago is removed, oldest first.
CREATE INDEX message_ended ON message (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX push_ended ON push (ended_at) WHERE ended_at IS NOT NULL;

-- Claims this Redis for a store: two stores would take each other's figures for damage.
--
-- KEYS: the claim. ARGV: the store, and for how many milliseconds the claim holds without being
--   renewed; 0 gives it up.
-- Answers the store that has it.
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
if ARGV[2] == '0' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) end
return ARGV[1]

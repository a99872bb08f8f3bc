-- Claims this Redis for a store: two stores would take each other's figures for damage.
--
-- KEYS: the claim. ARGV: the store, and for how many milliseconds the claim holds without being
--   renewed.
-- Answers the store that has it.
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return ARGV[1]

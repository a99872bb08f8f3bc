-- Commands of a rebuild, unless another one has begun or Redis was flushed meanwhile.
--
-- KEYS: the token, then the keys of the commands. ARGV: the token, then for each command its
--   name, how many keys and how many arguments it has, and these.
-- Answers 1, or 0 when nothing was done.
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local key, arg = 2, 2
while arg <= #ARGV do
  local command = {ARGV[arg]}
  for _ = 1, tonumber(ARGV[arg + 1]) do
    command[#command + 1] = KEYS[key]
    key = key + 1
  end
  local count = tonumber(ARGV[arg + 2])
  arg = arg + 3
  for _ = 1, count do
    command[#command + 1] = ARGV[arg]
    arg = arg + 1
  end
  redis.call(unpack(command))
end
return 1

-- Applies the net changes of a site's events from one position to another, once.
--
-- KEYS: the mark of how far the site was applied, the visitors by last seen, the themes of all
--   days since some day and which day that is, then for each day with changes the seven keys
--   (see keys.rs) of each of its periods that are kept.
-- ARGV: store, from, to (the event there or -, a colon, the position), channel, message (empty: none), who was last seen before this instant
--   is forgotten (empty: nobody), how many were seen and for each when and who, then for each day:
--   its number, seconds that the day, the week, the month still have (0: not kept, no keys), what
--   is added to each of the five counters, how many visitors and they, how many themes and how
--   often each.
--
-- Answers {'applied', receivers, and for each day: visitors before, after, and a 1 for each
--   visitor that changed the sketch or else a 0}; {'at', position} when the site stands
--   elsewhere; {'lost', why} when it must be rebuilt.
--
-- Redis does not roll back. The mark is therefore written first: a server that takes no
-- writes refuses that, and nothing has changed. Whatever fails later takes the mark away, and
-- with it everything else is void.
local MOST_VALUES, OTHER = 10000, '(other)'
local store, from = ARGV[1], tonumber(ARGV[2])

local mark = redis.pcall('get', KEYS[1])
if type(mark) == 'table' then return {'lost', 'the mark is no string'} end
if mark then
  local owner, at = string.match(mark, '^([^:]*):[^:]*:(%d+)$')
  if owner ~= store then return {'lost', 'filled from another store'} end
  if tonumber(at) ~= from then return {'at', tonumber(at)} end
elseif from > 0 then
  return {'lost', 'no mark'}
end

redis.call('set', KEYS[1], store .. ':' .. ARGV[3])

local function apply()
  local next_key, next_arg = 5, 6
  local function key() next_key = next_key + 1; return KEYS[next_key - 1] end
  local function arg() next_arg = next_arg + 1; return ARGV[next_arg - 1] end

  -- What a store left that had this Redis before is not ours.
  if not mark then
    for place = 2, #KEYS do redis.call('del', KEYS[place]) end
    redis.call('zadd', KEYS[2], 'inf', '')
  end
  if redis.call('exists', KEYS[2]) == 0 then error('visitors are gone', 0) end
  local forget = arg()
  for _ = 1, tonumber(arg()) do
    local at, who = arg(), arg()
    redis.call('zadd', KEYS[2], 'gt', at, who)
  end
  if forget ~= '' then redis.call('zremrangebyscore', KEYS[2], '-inf', '(' .. forget) end

  local since = redis.call('zscore', KEYS[3], '') and tonumber(redis.call('get', KEYS[4]) or nil)
  local answer = {'applied', 0}
  while next_arg <= #ARGV do
    local number_of_day = tonumber(arg())
    local periods = {}
    for number = 1, 3 do
      local seconds = tonumber(arg())
      if seconds > 0 then
        local keys = {}
        for place = 1, 7 do keys[place] = key() end
        local there = redis.call('exists', unpack(keys))
        if there == 0 then
          for place = 1, 5 do redis.call('set', keys[place], 0, 'ex', seconds) end
          redis.call('pfadd', keys[6])
          redis.call('expire', keys[6], seconds)
          redis.call('zadd', keys[7], 0, '')
          redis.call('expire', keys[7], seconds)
        elseif there < 7 then
          error('a period has lost keys', 0)
        end
        periods[number] = keys
      end
    end
    local function each(change)
      for number = 1, 3 do if periods[number] then change(periods[number], number) end end
    end

    for place = 1, 5 do
      local n = arg()
      if n ~= '0' then each(function(keys) redis.call('incrby', keys[place], n) end) end
    end

    local day = periods[1]
    local before, after, flags = 0, 0, {}
    if day then before = redis.call('pfcount', day[6]) end
    for _ = 1, tonumber(arg()) do
      local who = arg()
      -- Longer periods hold their days' visitors: what does not change the day's sketch
      -- changes none.
      local changed = 1
      if day then changed = redis.call('pfadd', day[6], who) end
      if changed == 1 then
        each(function(keys, number) if number > 1 then redis.call('pfadd', keys[6], who) end end)
      end
      flags[#flags + 1] = day and changed or 0
    end
    if day then after = redis.call('pfcount', day[6]) end
    answer[#answer + 1] = before
    answer[#answer + 1] = after
    answer[#answer + 1] = table.concat(flags)

    -- A day takes so many distinct themes, in the order in which they come; the blank member
    -- tells a ranking that is whole from one that is gone, its score is the sum of all.
    local themes = tonumber(arg())
    local rankings = {}
    if themes > 0 and day then
      each(function(keys) if redis.call('zscore', keys[7], '') then rankings[#rankings + 1] = keys[7] end end)
      if since and number_of_day >= since then rankings[#rankings + 1] = KEYS[3] end
    elseif themes > 0 then
      -- Nobody here knows which themes that day still takes: PostgreSQL answers.
      each(function(keys) redis.call('zadd', keys[7], 0, '?') redis.call('zrem', keys[7], '') end)
      redis.call('del', KEYS[3])
    end
    local sum = 0
    for _ = 1, themes do
      local theme, n = arg(), arg()
      if day then
        if not redis.call('zscore', day[7], theme) then
          local others = redis.call('zscore', day[7], OTHER) and 2 or 1
          if redis.call('zcard', day[7]) - others >= MOST_VALUES then theme = OTHER end
        end
        for _, ranking in ipairs(rankings) do redis.call('zincrby', ranking, n, theme) end
        sum = sum + tonumber(n)
      end
    end
    if sum > 0 then
      for _, ranking in ipairs(rankings) do redis.call('zincrby', ranking, -sum, '') end
    end
  end
  if ARGV[5] ~= '' then answer[2] = redis.call('publish', ARGV[4], ARGV[5]) end
  return answer
end

local fine, answer = pcall(apply)
if fine then return answer end
redis.call('del', KEYS[1])
if type(answer) == 'table' then answer = answer.err end
return {'lost', tostring(answer)}

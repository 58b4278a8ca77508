-- Writes down contacts of one partition's stations, and lists the stations that came unregistered.
--
-- KEYS: 1 stations hash, 2 unconfirmed hash, 3 hash of accepted contacts, 4 hash of rejected contacts
-- ARGV: 1 how many unregistered stations may be listed
--       2 number of contacts, then their stations, then per contact: A (accepted) or R (rejected),
--       bytes, its time, how many items it refused, 1 if an unregistered station is to be listed
-- Returns the contacts written, those left out since their station is neither registered nor listed, and
-- the listed stations that were dropped since there are too many.
--
-- Of what is unregistered only so much is kept: anybody can make up names.
local most, contacts = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], unpack(ARGV, 3, 2 + contacts))
local written, strangers = 0, 0
for i = 1, contacts do
  local station = ARGV[2 + i]
  local kind, bytes, time, refused, listed = unpack(ARGV, 3 + contacts + 5 * (i - 1), 2 + contacts + 5 * i)
  local keep = known[i]
  if not keep and listed == '1' then
    keep = true
    local first, _, count = string.match(redis.call('HGET', KEYS[2], station) or '', '^(%d+) (%d+) (%d+)$')
    local sum = string.format('%.0f', tonumber(count or '0') + tonumber(refused))
    redis.call('HSET', KEYS[2], station, (first or time) .. ' ' .. time .. ' ' .. sum)
  end
  if keep then
    redis.call('HSET', kind == 'A' and KEYS[3] or KEYS[4], station, bytes)
    written = written + 1
  else
    strangers = strangers + 1
  end
end
local excess = redis.call('HLEN', KEYS[2]) - most
if excess > 0 then
  local all, seen = redis.call('HGETALL', KEYS[2]), {}
  for i = 1, #all, 2 do
    seen[#seen + 1] = { all[i], tonumber(string.match(all[i + 1], '^%d+ (%d+) ') or '0') }
  end
  table.sort(seen, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  for i = 1, excess do
    for key = 2, 4 do
      redis.call('HDEL', KEYS[key], seen[i][1])
    end
  end
end
return { written, strangers, math.max(excess, 0) }

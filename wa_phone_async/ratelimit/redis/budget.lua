-- The rule of `budget.py`, kept in Redis for many processes. The names are the same, and a test compares both.
--
-- Why the whole rule is here a second time: on 2026-11-28 a prototype let Python compute the estimate. The script
-- returned its counts with each report, and the process sent `proven`, `others` and the percentage with its next
-- message. So each estimate came one message late, and those of two processes had to be merged here. The figures are
-- of `benchmarks/limits.py`, two processes, 200 calls an hour, where others spend half. With headers 2 s late, 27.3
-- calls were throttled instead of 22.7. With floored steps of five, it took 2.7 % longer. Redis needed 16 % more
-- time. Of 609 lines here, 66 could go: cooldowns, probes and admission stay, since only they see the calls of all
-- processes at once.
--
-- KEYS: every key that is touched. All are of one app, and so of one hash slot.
-- ARGV[1], JSON:
--   prefix      what the keys begin with
--   nonce       a word that is used once: the name of the process, a hyphen and a number, as in each lease
--   quota, app_quota   where the caller knows them
--   reports     of calls that ended
--   admissions  calls that want to go
--   now         in tests only
-- A call without `waba` is on something that is no WABA: only the app's quota counts for it.
-- Returns the epoch, the damaged keys that begin again, then for each admission "go", or the seconds after which to try
-- again. What else is to be said follows, each with a word before it:
--   over  if that depends on calls in flight: the seconds after which they are over if their processes are dead
--   free  the seconds after which the call can go at the latest, if it goes earlier only as a probe
--   of    `app` or `token`, if it is not the WABA that stops the call
--   is    `throttled`, if a cooldown stops it
--
-- A budget is a hash. Its `:log` has the calls that ended, by the time of their end. Its `:leases` has the calls in
-- flight, by the time at which they were admitted. The epoch is a new one whenever Redis had lost its memory. The key
-- `processes` has the processes, by the time of their last message.
--
-- Other programs may write to the same Redis. Whatever they write to a key must affect the budget of that key alone. So
-- nothing is used as it is read: `read` is for keys of another type, `take_saved` and `bring_back` for their contents.

local KEPT_SECONDS = 3660
local SURE_SECONDS = 3540
local LAG_SECONDS = 60
local BURST_LAG_SECONDS = 10
local STALE_SECONDS = 60
local SHARED_FRACTION = 0.97
local DISPROOF = 1.05
local BURST_DISPROOF = 4
local PROBE_SECONDS = 60
local PROBE_OTHERS_SECONDS = 300
local PROBE_BLIND_SECONDS = 10
local PROBE_AGAIN_SECONDS = 3600
local SOON_SECONDS = 1
local COOLDOWN_SECONDS = 60
local COOLDOWN_DOUBLINGS = 5
local RESPONSES_WITHOUT_USAGE = 100
local SPARE_PERCENT = 90
local FULL_PERCENT = 100
local COARSEST_STEP = 10

-- A process with calls in flight sends a message every two seconds. Without one for so long it is taken for dead. Its
-- calls count as ended, since Meta may have counted them. No lease lasts longer than the second time.
local SILENT_SECONDS = 10
local LEASE_SECONDS = 300
local SEEN_AGAIN_SECONDS = 1
local FORGET_SECONDS = 86400
local LONGEST_COOLDOWN = 86400
local LONGEST_TTL = 30 * 86400

local INFINITY = math.huge
local WABA_QUOTAS = { 200, 5000 }
local APP_QUOTAS = { 200 }

local batch = cjson.decode(ARGV[1])
-- The clock of Redis, since those of the processes differ.
local now = batch.now
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1e6
end

-- All digits: Lua's own text of a number has 14, which is too few for a time in microseconds.
local function text(number)
  return string.format('%.17g', number)
end

-- The keys that other programs have damaged.
local damaged = {}

local function reset(key)
  redis.call('DEL', key)
  damaged[#damaged + 1] = key
end

-- Reads a key. A key of another type begins again: an error here would end sharing for all accounts.
local function read(command, key, ...)
  local found = redis.pcall(command, key, ...)
  if type(found) ~= 'table' or not found.err then return found end
  if not found.err:find('WRONGTYPE', 1, true) then error(found.err) end
  reset(key)
  return redis.call(command, key, ...)
end

-- What is kept of a budget, and its value when nothing is kept; `percent` may stay missing for good.
-- `reset_at` is when a key of the budget was damaged: nobody knows which of the older leases were reported.
local FIELDS = {
  max_in_flight = 1, last_sent = -INFINITY, proven = 0, others = 0, without_usage = 0, percent_step = 0,
  usage_at = -INFINITY, usage_sent = -INFINITY, cooldown_until = -INFINITY, cooldown_from = -INFINITY,
  server_cooldown_until = -INFINITY, cooldowns = 0, percent = false, reset_at = -INFINITY,
}
-- What this script writes is within these. Times have no least value, and most counts no greatest.
local LEAST = {
  max_in_flight = 1, proven = 0, others = 0, without_usage = 0, percent_step = 0, cooldowns = 0, percent = 0,
}
local GREATEST = { proven = 1e12, cooldowns = COOLDOWN_DOUBLINGS }
-- No time of the past lies ahead, and no cooldown lasts longer than a day.
local LATEST = {
  last_sent = now, usage_at = now, usage_sent = now, cooldown_from = now, reset_at = now,
  cooldown_until = now + LONGEST_COOLDOWN, server_cooldown_until = now + LONGEST_COOLDOWN,
}
local MOST_FIELDS = 100

local function take_defaults(budget)
  for field, default in pairs(FIELDS) do budget[field], budget.was[field] = default, default end
  if not budget.certain then budget.max_in_flight, budget.was.max_in_flight = INFINITY, INFINITY end
end

-- Takes in what the hash of a budget says. Returns whether this script wrote it. Unknown fields are of a later version,
-- if they are few.
local function take_saved(budget, saved)
  for i = 1, #saved, 2 do
    local field, value = saved[i], tonumber(saved[i + 1])
    if FIELDS[field] ~= nil then
      -- Not `value < least`: every comparison with NaN is false.
      local least, greatest = LEAST[field] or -INFINITY, GREATEST[field] or INFINITY
      if not (value and value >= least and value <= greatest) then return false end
      budget.was[field] = value
      budget[field] = math.min(value, LATEST[field] or INFINITY)
    end
  end
  return #saved <= 2 * MOST_FIELDS
end

-- A time of the past that lies ahead becomes the present. It would count for ever. Another program wrote it, or the
-- clock of Redis went back. One script call moves only so many, since it blocks Redis.
local function bring_back(key)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. text(now), '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', key, text(now), member)
  end
end

-- The log: when our calls ended

local function nth(budget, index)
  return tonumber(redis.call('ZRANGE', budget.log, index, index, 'WITHSCORES')[2])
end

local function add(budget, at, lease)
  budget.size = budget.size + redis.call('ZADD', budget.log, text(at), lease)
end

local function drop(budget, till)
  if budget.size > 0 then
    budget.size = budget.size - redis.call('ZREMRANGEBYSCORE', budget.log, '-inf', text(till))
  end
end

local function count(budget, after, before)
  return redis.call('ZCOUNT', budget.log, '(' .. text(after), '(' .. text(before))
end

-- The calls in flight

local function process_of(word)
  return word:match('^[^-]*')
end

local processes_key = batch.prefix .. 'processes'
local this_process = process_of(batch.nonce)
local seen = {}

-- When a process sent its last message; nobody knows more of what was damaged or forgotten.
local function last_seen(process)
  if not seen[process] then
    seen[process] = math.min(now, tonumber(read('ZSCORE', processes_key, process) or -INFINITY))
  end
  return seen[process]
end

local function see_this_process()
  if now - last_seen(this_process) < SEEN_AGAIN_SECONDS then return end
  seen[this_process] = now
  redis.call('ZREMRANGEBYSCORE', processes_key, '-inf', text(now - LEASE_SECONDS))
  redis.call('ZREMRANGEBYSCORE', processes_key, '(' .. text(now), '+inf')
  redis.call('ZADD', processes_key, text(now), this_process)
  redis.call('EXPIRE', processes_key, LEASE_SECONDS + KEPT_SECONDS)
end

-- The name of an expired lease in the log. If its process is alive after all, its report takes the place of this.
local function expired(lease)
  return lease .. '?'
end

local function end_lease(budget, lease)
  local ended = redis.call('ZREM', budget.leases, lease)
  budget.in_flight = budget.in_flight - ended
  if ended == 0 then budget.size = budget.size - redis.call('ZREM', budget.log, expired(lease)) end
end

-- When a lease ends by itself, if its process sends no further message.
local function end_of(lease, since)
  return math.min(since + LEASE_SECONDS, math.max(since, last_seen(process_of(lease))) + SILENT_SECONDS)
end

-- Ends the leases that are older than an age, if it is time. Returns how many.
local function expire_leases(budget, age)
  local old, count = redis.call('ZRANGEBYSCORE', budget.leases, '-inf', text(now - age), 'WITHSCORES'), 0
  for i = 1, #old, 2 do
    local ends = end_of(old[i], tonumber(old[i + 1]))
    if ends <= now then
      end_lease(budget, old[i])
      add(budget, ends, expired(old[i]))
      count = count + 1
    end
  end
  return count
end

-- A budget

local function quota_of(budget)
  if budget.fixed then return budget.fixed end
  if not budget.certain and budget.proven == 0 then return INFINITY end
  for _, quota in ipairs(budget.quotas) do
    if budget.proven <= quota * DISPROOF then return quota, quota * DISPROOF end
  end
  return budget.proven
end

-- Derived and not kept: another process may know another `fixed` quota.
local function set_quota(budget)
  local quota, proof_needed = quota_of(budget)
  budget.quota = quota
  budget.proof_needed = budget.fixed and INFINITY or proof_needed or budget.proven
end

local function max_own(budget)
  return budget.quota * (budget.others > 0 and SHARED_FRACTION or 1) - budget.others - 1
end

local function load(name, quotas, fixed, certain)
  local key = batch.prefix .. name
  local budget = {
    key = key, log = key .. ':log', leases = key .. ':leases', was = {},
    quotas = quotas, fixed = fixed, certain = certain,
  }
  local damaged_before, saved = #damaged, read('HGETALL', key)
  budget.exists = #saved > 0
  take_defaults(budget)
  if not take_saved(budget, saved) then
    reset(key)
    take_defaults(budget)
    budget.exists = false
  end
  budget.size = read('ZCARD', budget.log)
  budget.in_flight = read('ZCARD', budget.leases)
  if #damaged > damaged_before then budget.reset_at = now end
  if budget.in_flight > 0 then expire_leases(budget, LEASE_SECONDS) end
  set_quota(budget)
  return budget
end

local function save(budget)
  local changed = {}
  -- Only what has changed: most calls change one or two fields, and the script blocks Redis while it writes.
  for field, was in pairs(budget.was) do
    if budget[field] ~= was then
      changed[#changed + 1] = field
      changed[#changed + 1] = text(budget[field])
    end
  end
  if #changed > 0 then redis.call('HSET', budget.key, unpack(changed)) end
  -- Every key expires by itself, so an account that is not called any more leaves nothing behind.
  local ttl = math.min(FORGET_SECONDS + math.max(0, math.ceil(budget.cooldown_until - now)), LONGEST_TTL)
  redis.call('EXPIRE', budget.key, text(ttl))
  redis.call('EXPIRE', budget.log, KEPT_SECONDS)
  redis.call('EXPIRE', budget.leases, LEASE_SECONDS + KEPT_SECONDS)
end

-- Calibration

local function surely_counted(budget, at, before)
  return count(budget, at - SURE_SECONDS, before) + 1
end

-- By how much a percentage may be off: at least, and at most.
local function percent_errors(budget)
  local step = budget.percent_step
  local max_error = math.min(step > 0 and step or COARSEST_STEP, COARSEST_STEP)
  return (step > 0 and step <= COARSEST_STEP) and step or 1, max_error
end

local function least_quota(budget, percent, calls)
  local _, max_error = percent_errors(budget)
  return 100 * calls / (percent + max_error)
end

local function prove(budget, quota)
  if quota > budget.proven then
    budget.proven = quota
    set_quota(budget)
  end
end

-- The greatest common divisor of all percentages; 1 as soon as one of them has a fraction.
local function set_step(budget, percent)
  if percent ~= math.floor(percent) then
    budget.percent_step = 1
    return
  end
  local one, other = budget.percent_step, percent
  while other > 0 do one, other = other, math.fmod(one, other) end
  budget.percent_step = one
end

local function set_others(budget, at, percent, sent)
  local error = percent_errors(budget)
  local sure = surely_counted(budget, at, math.min(sent, at - LAG_SECONDS))
  -- Calls in flight count as ours until there is proof of others: see `budget.py`.
  local mine = budget.others > 0 and sure or budget.size + budget.in_flight
  budget.others = 0
  if budget.quota < INFINITY and (percent - error) * budget.quota > 100 * mine then
    local most = (percent + math.max(1, error / 2)) * budget.quota / 100
    budget.others = math.max(0, math.ceil(most) - 1 - sure)
  end
end

local function learn(budget, at, percent, sent)
  if budget.percent_step ~= 1 then set_step(budget, percent) end
  local is_newest = sent > budget.usage_sent or (sent == budget.usage_sent and percent >= (budget.percent or 0))
  if is_newest then budget.percent, budget.usage_at, budget.usage_sent = percent, at, sent end
  local error, max_error = percent_errors(budget)
  local calls = budget.size
  -- Counting the log costs time, so it happens only where the result may matter.
  if 100 * calls > budget.proof_needed * (percent + max_error) then
    prove(budget, least_quota(budget, percent, surely_counted(budget, at, math.min(sent, at - LAG_SECONDS))))
    local before = percent > 0 and sent or math.min(sent, at - BURST_LAG_SECONDS)
    local burst = least_quota(budget, percent, surely_counted(budget, at, before))
    if burst > BURST_DISPROOF * budget.quota then prove(budget, burst) end
  end
  local seem = (percent - error) * budget.quota > 100 * (calls + budget.in_flight)
  if is_newest and (budget.others > 0 or seem) then set_others(budget, at, percent, sent) end
end

local function learn_from_success(budget, at, sent)
  if budget.others > 0 and at > budget.usage_at + KEPT_SECONDS then budget.others = 0 end
  if budget.without_usage >= RESPONSES_WITHOUT_USAGE and budget.size > budget.quota then
    prove(budget, DISPROOF * surely_counted(budget, at, sent))
  end
end

-- Reports

local function cool_down(budget, at, seconds)
  -- The latest: a late report of an earlier cooldown must not move its begin back.
  budget.cooldown_from = math.max(budget.cooldown_from, at)
  budget.cooldown_until = math.max(budget.cooldown_until, at + seconds)
  budget.max_in_flight = 1
end

local function counted(budget, call, usage)
  end_lease(budget, call.lease)
  add(budget, call.at, call.lease)
  if usage and usage.calls then
    budget.without_usage = 0
    learn(budget, call.at, usage.calls, call.sent)
  end
end

local function accepted(budget, call, usage)
  local is_new = call.sent > budget.cooldown_from
  if is_new then
    budget.cooldowns = 0
    budget.max_in_flight = budget.max_in_flight + 1
  end
  counted(budget, call, usage)
  if not (usage and usage.calls) then
    budget.without_usage = budget.without_usage + 1
    learn_from_success(budget, call.at, call.sent)
  elseif is_new then
    budget.max_in_flight = INFINITY
  end
  if usage and usage.load >= FULL_PERCENT then cool_down(budget, call.at, math.max(COOLDOWN_SECONDS, usage.regain)) end
end

local function throttled(budget, call, usage, seconds)
  local regain = usage and usage.regain or 0
  local told = math.max(seconds or 0, regain)
  if call.sent > budget.cooldown_from then
    local is_told = seconds or regain > 0
    cool_down(budget, call.at, is_told and told or COOLDOWN_SECONDS * 2 ^ budget.cooldowns)
    budget.cooldowns = math.min(budget.cooldowns + 1, COOLDOWN_DOUBLINGS)
  end
  budget.cooldown_until = math.max(budget.cooldown_until, call.at + told)
  if told > 0 then budget.server_cooldown_until = budget.cooldown_until end
  if usage and usage.calls then budget.proven, budget.proof_needed = 0, 0 end
  counted(budget, call, usage)
end

local function throttled_elsewhere(budget, call, usage)
  counted(budget, call, usage)
  if usage and math.max(usage.calls or 0, usage.load) >= FULL_PERCENT and usage.regain > 0 then
    cool_down(budget, call.at, usage.regain)
  end
end

-- Admission

local function hints_at_much_more(budget)
  local calls = count(budget, budget.usage_at - SURE_SECONDS, INFINITY)
  return least_quota(budget, budget.percent or 0, calls) > BURST_DISPROOF * budget.quota
end

local function hints_at_more(budget)
  local sure = surely_counted(budget, budget.usage_at, budget.usage_sent)
  return least_quota(budget, budget.percent or 0, sure) > DISPROOF * budget.quota or hints_at_much_more(budget)
end

-- Whether the server itself named the end of the cooldown. If it throttles at that time again and again, it is wrong.
local function is_told(budget)
  local cooldown_until = budget.cooldown_until
  return budget.server_cooldown_until >= cooldown_until and cooldown_until > budget.last_sent
    and budget.cooldowns < COOLDOWN_DOUBLINGS
end

local function next_probe(budget)
  if is_told(budget) then return budget.server_cooldown_until end
  if budget.others > 0 then
    local is_spare = (budget.percent or 0) <= SPARE_PERCENT
    return budget.last_sent + (is_spare and PROBE_SECONDS or PROBE_OTHERS_SECONDS)
  end
  if budget.fixed then return INFINITY end
  if budget.without_usage >= RESPONSES_WITHOUT_USAGE then
    return math.max(budget.last_sent + PROBE_BLIND_SECONDS, budget.cooldown_from + PROBE_AGAIN_SECONDS)
  end
  if hints_at_more(budget) then
    local wait = hints_at_much_more(budget) and BURST_LAG_SECONDS or PROBE_SECONDS
    return math.max(budget.last_sent + PROBE_BLIND_SECONDS, budget.usage_at + wait)
  end
  return INFINITY
end

local peek

-- When to try again if that depends on calls in flight: so many of them have to end. Of those of a dead process, it is
-- known when they do. The leases are searched only here, since many may be in flight, and only here it matters.
local function when_ended(budget, ahead, calls)
  if not budget.is_searched then
    budget.is_searched = true
    bring_back(budget.leases)
    if expire_leases(budget, SILENT_SECONDS) > 0 then return peek(budget, ahead) end
  end
  local leases, ends = redis.call('ZRANGE', budget.leases, 0, -1, 'WITHSCORES'), {}
  for i = 1, #leases, 2 do
    local is_own = process_of(leases[i]) == this_process
    ends[#ends + 1] = is_own and now + SOON_SECONDS or end_of(leases[i], tonumber(leases[i + 1]))
  end
  table.sort(ends)
  return now + SOON_SECONDS, ends[math.min(calls, #ends)]
end

local function when_full(budget, used, ahead)
  bring_back(budget.log)
  local probe_at = next_probe(budget)
  if budget.in_flight > 0 and probe_at < INFINITY then return when_ended(budget, ahead, budget.in_flight) end
  if probe_at <= now then return now end
  local expiries = math.ceil(used - max_own(budget))
  budget.free_at = (expiries <= budget.size and nth(budget, expiries - 1) or now) + KEPT_SECONDS
  return math.min(probe_at, budget.free_at)
end

-- When a call can go if so many more go first. If that depends on calls in flight: when to try, and when they are over.
function peek(budget, ahead)
  budget.free_at = nil
  if now < budget.cooldown_until then return budget.cooldown_until end
  drop(budget, now - KEPT_SECONDS)
  if budget.in_flight >= budget.max_in_flight then
    return when_ended(budget, ahead, budget.in_flight - budget.max_in_flight + 1)
  end
  local used = budget.size + budget.in_flight + ahead
  if used > max_own(budget) then return when_full(budget, used, ahead) end
  if budget.others > 0 and budget.in_flight > 0 and now > budget.usage_at + STALE_SECONDS then
    return when_ended(budget, ahead, budget.in_flight)
  end
  return now
end

local function take(budget, lease)
  redis.call('ZADD', budget.leases, text(now), lease)
  budget.in_flight = budget.in_flight + 1
  budget.last_sent = now
end

-- The book: each call is charged to its WABA, to the app, and to its token if that was ever throttled

local budgets = {}

-- One table for each budget and batch. All calls of the batch see what those before them changed.
local function open(name, quotas, fixed, certain)
  budgets[name] = budgets[name] or load(name, quotas, fixed, certain)
  return budgets[name]
end

-- A budget without a quota. Only a cooldown can stop its calls.
local function cooldown_only(name)
  return open(name, {}, INFINITY, false)
end

local function waba_of(call)
  if not call.waba then return cooldown_only('unassigned') end
  return open('waba:' .. call.waba, WABA_QUOTAS, batch.quota, true)
end

local function charged(call, is_token_throttled)
  local token = cooldown_only('token:' .. call.token)
  token.exists = token.exists or is_token_throttled
  return {
    waba = waba_of(call),
    app = open('app', APP_QUOTAS, batch.app_quota, false),
    token = token.exists and token or nil,
  }
end

local epoch_key = batch.prefix .. 'epoch'
local epoch = read('GET', epoch_key)
if epoch and not (#epoch <= 64 and epoch:find('^[%w-]+$')) then
  reset(epoch_key)
  epoch = false
end
if not epoch then
  epoch = batch.nonce
  redis.call('SET', epoch_key, epoch)
end
redis.call('EXPIRE', epoch_key, LONGEST_TTL)

-- Whether a report came before: the response of its batch was lost, or the lease was given back.
local function is_duplicate(call, waba)
  local is_known = call.epoch == epoch and now - call.sent_age > waba.reset_at
  local is_gone = is_known and not redis.call('ZSCORE', waba.leases, call.lease)
  if is_gone and not redis.call('ZSCORE', waba.log, expired(call.lease)) then return true end
  return redis.call('ZSCORE', waba.log, call.lease)
end

local function report(call)
  local all = charged(call, call.result == 'throttled' and call.scope == 'token')
  if is_duplicate(call, all.waba) then return end
  call.at = now - call.age
  -- Redis itself knows best when it admitted a call; what was admitted without it has only an age.
  call.sent = tonumber(redis.call('ZSCORE', all.waba.leases, call.lease) or now - call.sent_age)
  for _, scope in ipairs({ 'waba', 'app', 'token' }) do
    local budget, usage = all[scope], call[scope .. '_usage']
    if not budget then
      -- This token was never throttled.
    elseif call.result == 'unsent' then
      end_lease(budget, call.lease)
    elseif call.result == 'lost' then
      counted(budget, call)
    elseif call.result == 'accepted' then
      -- Without a WABA, the usage of a WABA is that of some other call.
      local is_of_another = scope == 'waba' and not call.waba
      accepted(budget, call, not is_of_another and usage or nil)
    elseif call.scope == scope then
      throttled(budget, call, usage, call.retry_after)
    else
      throttled_elsewhere(budget, call, usage)
    end
  end
end

-- By the WABA's budget: calls of this batch that may not go. Those that come after them wait behind them.
local denied = {}

local function admit(call)
  local all = charged(call, false)
  local ahead = call.ahead and call.ahead + (denied[all.waba] or 0) or 0
  local when, over, cause, stopper = now, now, nil, nil
  for _, scope in ipairs({ 'waba', 'app', 'token' }) do
    local budget = all[scope]
    local next, ended = now, now
    if budget then next, ended = peek(budget, scope == 'token' and 0 or ahead) end
    if next > when then cause, stopper = scope, budget end
    when, over = math.max(when, next), math.max(over, ended or next)
  end
  if when <= now and ahead == 0 then
    for _, budget in pairs(all) do take(budget, call.lease) end
    return 'go'
  end
  if call.ahead then denied[all.waba] = (denied[all.waba] or 0) + 1 end
  local wait = text(when - now)
  if over > when then wait = wait .. ' over ' .. text(over - now) end
  if not stopper then return wait end
  if stopper.free_at and stopper.free_at > when then wait = wait .. ' free ' .. text(stopper.free_at - now) end
  if cause ~= 'waba' then wait = wait .. ' of ' .. cause end
  return now < stopper.cooldown_until and wait .. ' is throttled' or wait
end

see_this_process()
local response = { epoch, damaged }
-- Reports first: they may free quota for the calls, or begin a cooldown.
for _, call in ipairs(batch.reports) do report(call) end
for _, call in ipairs(batch.admissions) do response[#response + 1] = admit(call) end
for name, budget in pairs(budgets) do
  if budget.exists or name:sub(1, 6) ~= 'token:' then save(budget) end
end
return response

-- FreeSWITCH: ask before a dial-out (mod_lua and mod_curl). The script waits until somebody answers or
-- the dial fails: start it beside the moderator's leg with luarun, not with the application lua.
--
--   <action application="set" data="dialled=${luarun(freeswitch.lua +442079460123 3001)}"/>
--
-- sched_hangup ends the call at the granted seconds, so the end is enforced by the switch. The channel's
-- uuid is the leg's id, by which freeswitch_control.py extends and ends the call.
local base = freeswitch.getGlobalVariable("perminute_url") -- http://fs1:secret@host/api/v1/bridges/fs1
local caller = freeswitch.getGlobalVariable("perminute_caller_id") -- +33170180042
local to, conference, ring_seconds = argv[1], argv[2], tonumber(argv[3]) or 90
local api, json = freeswitch.API(), freeswitch.JSON()

-- mod_curl splits its argument at spaces and decodes the body: so the body goes in percent-encoded.
local function encoded(text)
  return (text:gsub("[^%w%-%._~]", function(c) return string.format("%%%02X", c:byte()) end))
end

local function post(path, body, key)
  local request = string.format(
    "%s/%s append_headers idempotency-key:%s content-type application/json timeout 2 post %s",
    base, path, key, encoded(body))
  return json:decode(api:execute("curl", request) or "")
end

-- One key for this dial: asked again after a lost answer, it is the same question.
local key, uuid = api:execute("create_uuid"), api:execute("create_uuid")
local question = string.format(
  '{"to": "%s", "conference_id": "%s", "leg_id": "%s", "from": "%s"}', to, conference, uuid, caller)
local answer = post("dial-outs", question, key) or post("dial-outs", question, key)

-- Fail closed: no answer is a denial. (A bridge whose on_outage is "allow" would dial here.)
if not answer or answer.decision ~= "allow" then
  freeswitch.consoleLog("notice", "not dialled: " .. (answer and answer.reason or "unavailable") .. "\n")
  return
end

local variables = string.format(
  "origination_uuid=%s,origination_caller_id_number=%s,perminute_authorization=%s,perminute_to=%s," ..
  "conference_name=%s,originate_timeout=%d,execute_on_answer='sched_hangup +%d allotted_timeout'",
  uuid, caller, answer.authorization, answer.destination.number, conference, ring_seconds,
  answer.granted_seconds)
local dialled = api:execute("originate", string.format(
  "{%s}sofia/gateway/trunk/%s &conference(%s@default)", variables, answer.destination.number, conference))

-- A busy or declined call posts a record, which frees what is held; one that never had a channel posts
-- none. A release after the record changes nothing.
if not (dialled or ""):find("^%+OK") then
  local body = string.format('{"authorization": "%s", "release": true}', answer.authorization)
  post("dial-outs/" .. encoded(answer.authorization) .. "/release", body, key)
end

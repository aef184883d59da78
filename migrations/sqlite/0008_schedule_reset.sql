-- A clock that was ahead leaves a last slot that is years away, and its bot silent until then. A person may reset that: slots
-- that have a row stay used, for a slot fires at most once.

-- How often the last slot was reset. Only with a reset does it go back.
alter table bot add column resets integer not null default 0;

drop trigger bot_considered;
create trigger bot_considered before update of considered on bot
when new.considered < old.considered and new.resets = old.resets
begin
    select raise(abort, 'considered never goes back');
end;

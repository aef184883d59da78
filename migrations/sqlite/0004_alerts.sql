-- Of what people were told, so that nobody is told twice a day, not even after a restart.

create table alert (
    -- The day in UTC, counted from the first of January of the year 1.
    day integer not null,
    -- Who was told: of several receivers one may be out of reach.
    receiver text not null,
    -- A bot's name, or in words of their own an app and the flock.
    about text not null,
    cause text not null,
    primary key (day, receiver, about, cause)
) strict, without rowid;

-- What a household told about itself: the same every day, until it tells something else.
SELECT
    customer_id,
    day AS event_timestamp,
    age,
    income,
    home_ownership,
    marital_status,
    household_size,
    household_composition,
    kids_count
FROM demographics
CROSS JOIN days

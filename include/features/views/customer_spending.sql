-- What a customer spent in the 30 days before each day: one row per customer with an order in them.
-- Money is summed in whole cents, so that no order of addition changes a figure.
WITH bounds AS (
    SELECT min(day) - INTERVAL 30 DAY AS first_at, max(day) AS end_at FROM days
),
categories AS (
    -- Numbers instead of names: what follows counts each purchase on thirty days.
    SELECT category, row_number() OVER (ORDER BY category) AS category_number
    FROM (SELECT DISTINCT coalesce(department, 'UNKNOWN') AS category FROM products UNION SELECT 'UNKNOWN')
),
numbered AS (
    SELECT product_id, category_number
    FROM products
    JOIN categories ON categories.category = coalesce(department, 'UNKNOWN')
),
lines AS (
    SELECT
        purchases.customer_id,
        purchases.basket_id,
        CAST(purchases.event_at AS DATE) AS ordered_on,
        coalesce(
            numbered.category_number,
            (SELECT category_number FROM categories WHERE category = 'UNKNOWN')
        ) AS category_number,
        CAST(round(purchases.amount * 100) AS BIGINT) AS cents
    FROM purchases
    LEFT JOIN numbered USING (product_id)
    WHERE purchases.event_at >= (SELECT first_at FROM bounds)
      AND purchases.event_at < (SELECT end_at FROM bounds)
),
by_basket AS (
    -- A basket may span midnight: it counts on its last day before `day` only.
    SELECT
        customer_id,
        ordered_on,
        sum(cents)::BIGINT AS cents,
        lead(ordered_on) OVER (PARTITION BY customer_id, basket_id ORDER BY ordered_on) AS again_on
    FROM lines
    GROUP BY customer_id, basket_id, ordered_on
),
by_day AS (
    SELECT customer_id, ordered_on, again_on, sum(cents)::BIGINT AS cents, count(*) AS baskets
    FROM by_basket
    GROUP BY ALL
),
by_category AS (
    SELECT customer_id, category_number, ordered_on, sum(cents)::BIGINT AS cents
    FROM lines
    GROUP BY ALL
),
covered AS (
    -- The days each day of purchases counts on.
    SELECT CAST(day AS DATE) AS day, CAST(day - to_days(CAST(age AS INTEGER)) AS DATE) AS ordered_on
    FROM days, range(1, 31) AS ages(age)
),
spending AS (
    SELECT
        customer_id,
        day,
        sum(cents)::BIGINT AS cents,
        sum(baskets) FILTER (again_on IS NULL OR again_on >= day)::BIGINT AS baskets,
        max(ordered_on) AS last_ordered_on
    FROM by_day
    JOIN covered USING (ordered_on)
    GROUP BY ALL
),
category_spending AS (
    SELECT customer_id, day, category_number, sum(cents)::BIGINT AS cents
    FROM by_category
    JOIN covered USING (ordered_on)
    GROUP BY ALL
),
preferred AS (
    -- The most money, then the first name: one number to compare, 1024 categories wide.
    SELECT customer_id, day, 1023 - (max(cents * 1024 + 1023 - category_number) & 1023) AS category_number
    FROM category_spending
    GROUP BY ALL
)
SELECT
    customer_id,
    CAST(day AS TIMESTAMP) AS event_timestamp,
    cents / 100 AS total_spend_30d,
    cents / 100 / baskets AS avg_order_value_30d,
    baskets AS transaction_count_30d,
    date_diff('day', last_ordered_on, day) AS days_since_last_purchase,
    category AS preferred_category
FROM spending
JOIN preferred USING (customer_id, day)
JOIN categories USING (category_number)

// Copies what a page shows once, marks what a click on it would select, and asks before what cannot be undone.
for (const button of document.querySelectorAll('[data-copy]')) {
  const field = document.getElementById(button.dataset.copy);
  field.addEventListener('focus', () => field.select());
  button.addEventListener('click', async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand('copy'); // without TLS a browser offers no other way
    }
    button.textContent = 'Copied';
  });
}
for (const field of document.querySelectorAll('[data-goes]')) {
  field.addEventListener('change', () => field.form.requestSubmit());
}
